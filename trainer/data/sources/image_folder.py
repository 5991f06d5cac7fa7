"""`image_folder`: one folder of images per class, optionally below one folder per split."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.data import ImageFolder
from trainer.data.decoding import check_images_fit, inspect, read_image
from trainer.data.examples import InMemoryExamples, Source
from trainer.errors import UserError, unknown_name
from trainer.io.files import read_bytes

_SPLITS = ("train", "validation", "test")
_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def load(config: ImageFolder, data_dir: str) -> Source:
    """Reads every image into memory, classes and files in the order of their names.

    Hidden files and files with other extensions are ignored. Of an animation the first frame is
    read.

    Raises:
      UserError: if a folder is missing or empty, there are fewer than two classes, an image
        cannot be read, or their sizes differ and `image_size` is not set.
    """
    del data_dir
    if not config.path or not tf.io.gfile.isdir(config.path):
        raise UserError(
            f"data.path must be a folder with one folder per class. Received: {config.path!r}"
        )
    folders = _split_folders(config.path)
    classes = _subfolders(folders["train"])
    if len(classes) < 2:
        raise UserError(
            f"{folders['train']} must contain a folder for each of at least two classes. "
            f"Received: {', '.join(classes) or 'no folder'}"
        )
    files = {name: _files(folder, classes) for name, folder in folders.items()}
    size = config.image_size or _first_size(files["train"][0][0])
    total = sum(len(listed) for listed in files.values())
    check_images_fit(total, (*size, config.channels), config.path)
    splits = {
        name: InMemoryExamples(
            _pixels([path for path, _ in listed], config, size),
            np.array([label for _, label in listed], np.int32),
        )
        for name, listed in files.items()
    }
    return Source(splits, tuple(classes))


def _split_folders(path: str) -> dict[str, str]:
    """The folder of each split; everything is `train` if no folder has the name of a split."""
    names = _subfolders(path)
    if not set(names) & set(_SPLITS):
        return {"train": path}
    for name in names:
        if name not in _SPLITS:
            raise unknown_name(f"folder beside the splits of {path}", name, _SPLITS)
    if "train" not in names:
        raise UserError(f"{path} must have a folder 'train'. Received: {', '.join(names)}")
    return {name: os.path.join(path, name) for name in names}


def _subfolders(path: str) -> list[str]:
    names = [name.rstrip("/") for name in tf.io.gfile.listdir(path)]
    return sorted(
        name
        for name in names
        if not name.startswith(".") and tf.io.gfile.isdir(os.path.join(path, name))
    )


def _files(folder: str, classes: list[str]) -> list[tuple[str, int]]:
    for name in _subfolders(folder):
        if name not in classes:
            raise UserError(
                f"{folder} must contain only classes of the training split: {', '.join(classes)}. "
                f"Received: {name!r}"
            )
    listed = []
    for label, name in enumerate(classes):
        path = os.path.join(folder, name)
        files = sorted(tf.io.gfile.listdir(path)) if tf.io.gfile.isdir(path) else []
        images = [file for file in files if _is_image(file)]
        if not images:
            raise UserError(
                f"class folder {path!r} contains no image ({' '.join(_ENDINGS)}); add images or "
                "remove it"
            )
        listed += [(os.path.join(path, file), label) for file in images]
    return listed


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(_ENDINGS)


def _first_size(path: str) -> tuple[int, int]:
    image = inspect(read_bytes(path), path)
    return image.height, image.width


def _pixels(paths: list[str], config: ImageFolder, size: tuple[int, ...]) -> NDArray[np.uint8]:
    """Images uint8 `[N, H, W, C]`, decoded in parallel, in the order of `paths`."""

    def read(path: str) -> NDArray[np.uint8]:
        contents = read_bytes(path)
        image = inspect(contents, path)
        if not config.image_size and (image.height, image.width) != tuple(size):
            raise UserError(
                f"the images differ in size; set data.image_size=HEIGHT,WIDTH. Received: {size} "
                f"and {(image.height, image.width)} in {path}"
            )
        return read_image(contents, path, size, config.channels)

    pixels = np.empty((len(paths), *size, config.channels), np.uint8)
    with ThreadPoolExecutor() as pool:
        for place, image in enumerate(pool.map(read, paths)):
            pixels[place] = image
    return pixels

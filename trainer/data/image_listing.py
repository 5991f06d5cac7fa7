"""Which image files are in a folder, and whether they are inside of it."""

import functools
import os
from collections.abc import Callable, Sequence

from trainer.compat.keras import tf
from trainer.errors import UserError, unknown_name
from trainer.io.paths import is_remote

_SPLITS = ("train", "validation", "test")
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def split_folders(path: str) -> dict[str, str]:
    """The folder of each split, relative to the path, which itself is "" then.

    Everything is `train` if no folder has the name of a split.

    Raises:
      UserError: if there are other folders beside those of splits, or none for training.
    """
    names = subfolders(path)
    if not set(names) & set(_SPLITS):
        return {"train": ""}
    for name in names:
        if name not in _SPLITS:
            raise unknown_name(f"folder beside the splits of {path}", name, _SPLITS)
    if "train" not in names:
        raise UserError(f"{path} must have a folder 'train'. Received: {', '.join(names)}")
    return {name: name for name in names}


def subfolders(path: str) -> list[str]:
    """The names of the folders in a folder, sorted, without hidden ones."""
    names = [name.rstrip("/") for name in _names(path)]
    return sorted(
        name
        for name in names
        if not name.startswith(".") and tf.io.gfile.isdir(os.path.join(path, name))
    )


def class_files(path: str, folder: str, classes: Sequence[str]) -> list[tuple[str, int]]:
    """The image files of each class, relative to `path`, with the number of the class.

    Args:
      path: `data.path`.
      folder: with a folder per class, relative to `path`.
      classes: names of the folders.

    Raises:
      UserError: if a folder is missing, empty or no class, or a file is a link to outside.
    """
    whole = os.path.join(path, folder)
    for name in subfolders(whole):
        if name not in classes:
            raise UserError(
                f"{whole} must contain only classes of the training split: {', '.join(classes)}. "
                f"Received: {name!r}"
            )
    listed = []
    for number, name in enumerate(classes):
        place = os.path.join(whole, name)
        files = sorted(_names(place)) if tf.io.gfile.isdir(place) else []
        images = [file for file in files if _is_image(file)]
        if not images:
            raise UserError(
                f"class folder {place!r} contains no image ({' '.join(ENDINGS)}); add images or "
                "remove it"
            )
        for file in images:
            # The folder may be a link, as large data often are on another disk.
            _check_link(os.path.join(place, file), (path, place))
            listed.append((os.path.join(folder, name, file), number))
    return listed


def check_links(path: str, names: Sequence[str], where: Callable[[int], str]) -> None:
    """Checks that no file is outside of a folder by way of a link.

    Args:
      path: of the folder.
      names: of the files, relative to it.
      where: the place of a file in the user's table, for messages.

    Raises:
      UserError: naming the first that is.
    """
    if is_remote(path):
        return
    real = functools.cache(os.path.realpath)
    for number, name in enumerate(names):
        file = os.path.join(path, name)
        # Most files are no links themselves, and share their folders with others.
        target = os.path.realpath(file) if os.path.islink(file) else real(os.path.dirname(file))
        if not _is_below(target, real(path)):
            raise UserError(
                f"{where(number)} must name a file inside of {path}; copy it there. Received: "
                f"{name!r}, which is a link to outside"
            )


def _check_link(file: str, folders: Sequence[str]) -> None:
    if is_remote(file) or not os.path.islink(file):
        return
    target = os.path.realpath(file)
    if not any(_is_below(target, os.path.realpath(folder)) for folder in folders):
        raise UserError(
            f"{file} must not be a link to outside of {folders[0]}; copy the file there"
        )


def _is_below(target: str, folder: str) -> bool:
    return os.path.commonpath((target, folder)) == folder


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(ENDINGS)


def _names(path: str) -> list[str]:
    try:
        names: list[str] = tf.io.gfile.listdir(path)
    except UnicodeDecodeError as error:
        raise UserError(f"the names of files in {path} must be UTF-8; rename them") from error
    except tf.errors.OpError as error:
        raise UserError(f"{path} cannot be read ({type(error).__name__})") from error
    return names

"""`idx`: the four IDX files of MNIST, and of sets in its form such as Fashion-MNIST and KMNIST.

The format (LeCun et al., "The MNIST database of handwritten digits"): two zero bytes, the type of
the elements (8: unsigned byte), the number of dimensions, each dimension as a big-endian 32-bit
number, and the elements in row-major order.
"""

import contextlib
import gzip
import math
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.data import IDX
from trainer.data.decoding import check_images_fit
from trainer.data.examples import InMemoryExamples, Source
from trainer.errors import UserError

_PREFIXES = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTE = 8


def load(config: IDX, data_dir: str) -> Source:
    """Reads `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and both files of `t10k`.

    Each may be compressed, with the ending `.gz`. The images are grayscale, uint8
    `[N, H, W, 1]`.

    Raises:
      UserError: if a file is missing, has another header, or is shorter or longer than its header
        says; if the numbers of images and labels, or the sizes of the images, differ; or if a
        label has no class.
    """
    del data_dir
    if not config.path or not tf.io.gfile.isdir(config.path):
        raise UserError(f"data.path must be a folder with IDX files. Received: {config.path!r}")
    images, labels, shapes = {}, {}, {}
    for split, prefix in _PREFIXES.items():
        images[split] = _find(config.path, f"{prefix}-images-idx3-ubyte")
        labels[split] = _find(config.path, f"{prefix}-labels-idx1-ubyte")
        shapes[split] = _shape(images[split], 3)
        _check_counts(shapes[split], images[split], _shape(labels[split], 1), labels[split])
    if shapes["train"][1:] != shapes["test"][1:]:
        raise UserError(
            f"the images of {config.path} must have one size. Received: "
            f"{shapes['train'][1:]} for training and {shapes['test'][1:]} for the test"
        )
    total = sum(shape[0] for shape in shapes.values())
    check_images_fit(total, shapes["train"][1:], config.path)

    targets = {split: _elements(path, 1) for split, path in labels.items()}
    classes = config.class_names or tuple(map(str, range(targets["train"].max() + 1)))
    if len(classes) < 2:
        raise UserError(f"{labels['train']} must have labels of two or more classes")
    for split, path in labels.items():
        if targets[split].max() >= len(classes):
            raise UserError(
                f"{path} must have labels below {len(classes)}, the number of data.class_names or "
                f"of the classes of the training split. Received: {targets[split].max()}"
            )
    splits = {
        split: InMemoryExamples(_elements(path, 3)[..., None], targets[split].astype(np.int32))
        for split, path in images.items()
    }
    return Source(splits, classes)


def _find(folder: str, name: str) -> str:
    """The path of a file, or of its compressed form."""
    for ending in ("", ".gz"):
        path = os.path.join(folder, name + ending)
        if tf.io.gfile.exists(path):
            return path
    raise UserError(f"data.path must contain {name} or {name}.gz. Received: {folder!r}")


def _check_counts(
    images: tuple[int, ...], images_path: str, labels: tuple[int, ...], labels_path: str
) -> None:
    if 0 in images:
        raise UserError(f"{images_path} has no pixels. Received: images of shape {images}")
    if images[0] != labels[0]:
        raise UserError(
            f"there must be one label per image. Received: {images[0]} images in {images_path} "
            f"and {labels[0]} labels in {labels_path}"
        )


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """The decompressed contents of a file; errors of reading it are the user's."""
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            yield cast(BinaryIO, gzip.GzipFile(fileobj=file) if path.endswith(".gz") else file)
    # EOFError and zlib.error are gzip's exceptions for a truncated and a corrupt file.
    except (tf.errors.OpError, OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}); replace it with a complete file"
        ) from error


def _shape(path: str, dimensions: int) -> tuple[int, ...]:
    """The shape in the header of a file.

    Raises:
      UserError: if it is not the header of unsigned bytes with this number of dimensions.
    """
    with _opened(path) as file:
        return _read_header(file, path, dimensions)


def _elements(path: str, dimensions: int) -> NDArray[np.uint8]:
    """The elements of a file, uint8 in the shape of its header.

    Raises:
      UserError: if there are fewer or more than the header says.
    """
    with _opened(path) as file:
        shape = _read_header(file, path, dimensions)
        size = math.prod(shape)
        # One more than expected, to notice that there are more.
        contents = file.read(size + 1)
    if len(contents) != size:
        received = f"{len(contents)}" if len(contents) < size else "more"
        raise UserError(
            f"{path} must have the {size} bytes after its header that the shape {shape} means; "
            f"replace it with a complete file. Received: {received}"
        )
    return np.frombuffer(contents, np.uint8).reshape(shape)


def _read_header(file: BinaryIO, path: str, dimensions: int) -> tuple[int, ...]:
    magic = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    header = file.read(4 * (1 + dimensions))
    if len(header) < 4 * (1 + dimensions) or not header.startswith(magic):
        raise UserError(
            f"{path} must be an IDX file of unsigned bytes with {dimensions} dimensions, which "
            f"begins with {magic.hex(' ')}. Received: {header[:4].hex(' ') or 'an empty file'}"
        )
    return tuple(int(size) for size in np.frombuffer(header, ">u4")[1:])

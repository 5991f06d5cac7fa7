"""From stored examples to what a network sees; training and prediction share it."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from trainer.backend import tf
from trainer.errors import UserError
from trainer.supervised.data.dataset import Signature, Split
from trainer.supervised.data.files import read_bytes
from trainer.supervised.data.table import read_rows

_MODES = {1: "L", 3: "RGB"}


def normalize(features: tf.Tensor, signature: Signature) -> tf.Tensor:
    """(x − offset) · scale by channel or column, float32 `[B, ...]`."""
    offset = tf.constant(signature.offset, tf.float32)
    scale = tf.constant(signature.scale, tf.float32)
    return (tf.cast(features, tf.float32) - offset) * scale


def normalization(kind: str, train: Split) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Offset and scale by channel or column.

    Args:
      kind: unit, half, standard or none, as `data.normalize`.
      train: the split that standard measures; a constant column keeps scale 1.
    """
    width = train.features.shape[-1]
    if kind != "standard":
        offset, scale = {"unit": (0.0, 1 / 255), "half": (127.5, 1 / 127.5), "none": (0.0, 1.0)}[
            kind
        ]
        return (offset,) * width, (scale,) * width
    mean, deviation = _moments(train.features)
    return tuple(mean.tolist()), tuple((1 / np.where(deviation > 0, deviation, 1.0)).tolist())


def _moments(features: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation by channel or column."""
    axes = tuple(range(features.ndim - 1))
    count = features[..., 0].size
    # In portions: as float64 the whole would take eight times its memory.
    portions = [features[first : first + 1024] for first in range(0, len(features), 1024)]
    mean = np.asarray(sum(part.sum(axes, np.float64) for part in portions)) / count
    squares = sum(np.square(part - mean).sum(axes) for part in portions)
    return mean, np.sqrt(squares / count)


def decode_image(contents: bytes, where: str) -> Image.Image:
    """A file's image, upright as its camera meant it.

    Raises:
      UserError: if the file is empty, truncated or no image; `where` names it.
    """
    try:
        # Loading alone forgives a PNG its missing end.
        Image.open(io.BytesIO(contents)).verify()
        image = Image.open(io.BytesIO(contents))
        image.load()
        return ImageOps.exif_transpose(image)
    # What Pillow raises for broken files: SyntaxError for a PNG, TypeError for a TIFF.
    except (OSError, SyntaxError, TypeError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"the image cannot be read ({len(contents)} bytes, {type(error).__name__}); mend or "
            f"remove it. Received: {where}"
        ) from error


def fit_image(image: Image.Image, size: Sequence[int], channels: int) -> NDArray[np.uint8]:
    """Pixels uint8 `[H, W, channels]`.

    16 bits a pixel keep their upper 8; transparency is dropped; resizing is bilinear over
    the whole area a new pixel covers.

    Args:
      image: any image.
      size: height and width; empty keeps its own.
      channels: 1 or 3.
    """
    if image.mode.startswith("I"):
        pixels = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        image = Image.fromarray(pixels)
    if image.mode == "P":
        # Pillow warns of a palette with transparency that skips this step.
        image = image.convert("RGBA")
    image = image.convert(_MODES[channels])
    if size and (image.height, image.width) != tuple(size):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)


def read_examples(paths: Sequence[str], signature: Signature) -> tuple[NDArray[Any], list[str]]:
    """The examples in files, and a name for each: the file, and the line of a table.

    Raises:
      UserError: if a file is missing, empty, or not what the network was trained on.
    """
    read = _read_images if signature.kind == "image" else _read_table
    features: list[NDArray[Any]] = []
    names: list[str] = []
    for path in paths:
        more, more_names = read(path, signature)
        features.append(more)
        names += more_names
    return np.concatenate(features), names


def _read_images(path: str, signature: Signature) -> tuple[NDArray[Any], list[str]]:
    height, width, channels = signature.shape
    image = decode_image(read_bytes(path), path)
    return fit_image(image, (height, width), channels)[None], [path]


def _read_table(path: str, signature: Signature) -> tuple[NDArray[Any], list[str]]:
    table = read_rows(path)
    features = table.numbers(signature.columns)
    return features, [f"{path}:{line}" for line in table.lines]

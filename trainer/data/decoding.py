"""Decoding and resizing of image files, shared by the sources and by prediction."""

import io
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from trainer.errors import UserError
from trainer.io.memory import check_fits

_MODES = {1: "L", 3: "RGB"}
# A source's arrays are copied once while it is split, and once for TensorFlow.
_COPIES = 2


def decode_image(contents: bytes, where: str) -> Image.Image:
    """The image of a file, rotated as its EXIF orientation says.

    Raises:
      UserError: if the file is empty, truncated or not an image; `where` names it.
    """
    try:
        # Loading alone accepts a PNG without its end.
        Image.open(io.BytesIO(contents)).verify()
        image = Image.open(io.BytesIO(contents))
        image.load()
        return ImageOps.exif_transpose(image)
    # Pillow's exceptions for broken files: SyntaxError for a PNG, TypeError for a TIFF.
    except (OSError, SyntaxError, TypeError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"the image {where} cannot be read ({len(contents)} bytes, {type(error).__name__}); "
            "replace or remove it"
        ) from error


def fit_image(image: Image.Image, size: Sequence[int], channels: int) -> NDArray[np.uint8]:
    """Pixels uint8 `[H, W, channels]`.

    Of 16-bit pixels the upper 8 bits are kept. Transparency is dropped. Resizing is bilinear with
    antialiasing.

    Args:
      image: any image.
      size: height and width; empty: unchanged.
      channels: 1 or 3.
    """
    if image.mode.startswith("I"):
        pixels = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        image = Image.fromarray(pixels)
    if image.mode == "P":
        # Without this step Pillow warns about palettes with transparency.
        image = image.convert("RGBA")
    image = image.convert(_MODES[channels])
    if size and (image.height, image.width) != tuple(size):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)


def check_images_fit(examples: int, shape: Iterable[int], what: str) -> None:
    """Checks that uint8 images fit into the available memory.

    Raises:
      UserError: with both sizes; `what` names the data set.
    """
    check_fits(_COPIES * examples * math.prod(shape), "use a smaller data.image_size", what)

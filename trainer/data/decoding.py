"""Decoding and resizing of image files, shared by training, prediction and export.

TensorFlow decodes JPEG, PNG and BMP. Pillow decodes what TensorFlow does not, or not in the same
way: GIF, TIFF and WebP, PNG with 16 bits or transparency by color, JPEG of four inks, BMP other
than 24 bits. What follows is the same for both: one gray or three color channels, the EXIF
orientation, and the size.
"""

import dataclasses
import functools
import io
import math
import struct
import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin

from trainer.compat.keras import tf
from trainer.data.image_header import ordinary_size
from trainer.errors import UserError
from trainer.io.memory import check_fits

# A small file can hold an image that fills the memory.
MOST_PIXELS = 100_000_000
# `inspect` refuses larger images; Pillow would print a warning before.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Otherwise the first image opened with a list of formats fails.
Image.init()

# Pillow reads more formats, and starts other programs for some of them.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
# Images of a batch that are decoded at once.
_PARALLEL = 16
_MODES = {1: "L", 3: "RGB"}
_ORIENTATION = 0x0112
# The weights of red, green and blue in Pillow's gray, of 2^16.
_GRAY = (19595, 38470, 7471)
# A source's arrays are copied once while it is split, and once for TensorFlow.
_COPIES = 2
# What Pillow raises for broken files, among others SyntaxError for a PNG and TypeError for a TIFF.
_BROKEN = (
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    EOFError,
    struct.error,
)


@dataclasses.dataclass(frozen=True)
class ImageInfo:
    """What the header of an image file says.

    Attributes:
      height: in pixels, after the orientation is applied.
      width: likewise.
      orientation: EXIF code from 1 to 8; 1: as stored.
      needs_pillow: whether Pillow decodes the image, because TensorFlow cannot, or not in the same
        way.
    """

    height: int
    width: int
    orientation: int
    needs_pillow: bool


def inspect(contents: bytes, where: str) -> ImageInfo:
    """Reads the header of an image file; decodes nothing.

    Raises:
      UserError: if the file is empty, damaged, not an image, or has more than 10^8 pixels; `where`
        names it.
    """
    size = ordinary_size(contents)
    if size and size.height * size.width <= MOST_PIXELS:
        return ImageInfo(size.height, size.width, orientation=1, needs_pillow=False)
    try:
        # Opening alone accepts a PNG without its end.
        Image.open(io.BytesIO(contents), formats=_FORMATS).verify()
        image = Image.open(io.BytesIO(contents), formats=_FORMATS)
        orientation = int(image.getexif().get(_ORIENTATION, 1))
        needs_pillow = _needs_pillow(image, contents)
        pixels = image.height * image.width
        if pixels <= MOST_PIXELS and _may_be_truncated(image, contents):
            # TensorFlow would find it as well, but print lines of its own.
            image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        pixels = 2 * MOST_PIXELS
    except _BROKEN as error:
        raise _unreadable(contents, where, error) from error
    if pixels > MOST_PIXELS:
        raise UserError(f"the image {where} has more than {MOST_PIXELS:,} pixels; make it smaller")
    if orientation not in range(1, 9):
        orientation = 1
    height, width = _stored_size(image)
    if orientation >= 5:
        height, width = width, height
    return ImageInfo(height, width, orientation, needs_pillow)


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Height and width before the orientation is applied."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Recent versions of Pillow have applied it already.
        tags = image.tag_v2
        return tags[TiffImagePlugin.IMAGELENGTH], tags[TiffImagePlugin.IMAGEWIDTH]
    return image.height, image.width


def _needs_pillow(image: Image.Image, contents: bytes) -> bool:
    match image.format:
        case "JPEG" | "MPO":
            return image.mode not in ("L", "RGB")
        case "PNG":
            return contents[24] == 16 or "transparency" in image.info
        case "BMP":
            bits = int.from_bytes(contents[28:30], "little")
            compression = int.from_bytes(contents[30:34], "little")
            return bits != 24 or compression != 0
    return True


def _may_be_truncated(image: Image.Image, contents: bytes) -> bool:
    """Whether the last start of a JPEG's scan has no end of an image behind it."""
    is_jpeg = image.format in ("JPEG", "MPO")
    return is_jpeg and contents.rfind(b"\xff\xd9") < contents.rfind(b"\xff\xda")


def _unreadable(contents: bytes, where: str, error: Exception) -> UserError:
    return UserError(
        f"the image {where} cannot be read ({len(contents)} bytes, {type(error).__name__}); "
        "replace or remove it"
    )


def read_image(
    contents: bytes, where: str, size: Sequence[int], channels: int
) -> NDArray[np.uint8]:
    """The pixels of any image file, as the network gets them in training.

    Args:
      contents: of the file.
      where: its name.
      size: height and width; empty: unchanged.
      channels: 1 or 3.

    Returns:
      uint8 `[H, W, channels]`.

    Raises:
      UserError: if the file is empty, truncated, too large, or not an image.
    """
    info = inspect(contents, where)
    code = 0 if info.needs_pillow else info.orientation
    try:
        with tf.device("/cpu:0"):
            pixels = _compiled_decode(tuple(size), channels)(contents, code)
    except (tf.errors.OpError, *_BROKEN) as error:
        raise _unreadable(contents, where, error) from error
    return np.asarray(pixels.numpy(), np.uint8)


@functools.cache
def _compiled_decode(size: tuple[int, ...], channels: int) -> Callable[[bytes, int], tf.Tensor]:
    signature = (tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32))
    return tf.function(
        lambda contents, code: decode_any(contents, code, size, channels),
        input_signature=signature,
        autograph=False,
    )


def decode_any(
    contents: tf.Tensor, code: tf.Tensor, size: Sequence[int], channels: int
) -> tf.Tensor:
    """The pixels of a file, decoded by Pillow or TensorFlow.

    Args:
      contents: string `[]`.
      code: int32 `[]`; 0: Pillow decodes the file; otherwise TensorFlow, and it is the orientation.
      size: height and width; empty: unchanged.
      channels: 1 or 3.

    Returns:
      uint8 `[H, W, channels]`.
    """

    def by_pillow() -> tf.Tensor:
        pixels = tf.numpy_function(
            # Without a graph the argument is an array.
            lambda data: decode_with_pillow(np.asarray(data, object).item(), channels),
            [contents],
            tf.uint8,
            stateful=False,
        )
        pixels.set_shape([None, None, channels])
        return resize(pixels, size)

    return tf.cond(
        tf.equal(code, 0), by_pillow, lambda: decode(contents, size, channels, tf.maximum(code, 1))
    )


def decode_batch(contents: tf.Tensor, codes: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """The pixels of several files, decoded in parallel.

    Args:
      contents: string `[B]`.
      codes: int32 `[B]`, see `decode_any`.
      shape: height, width and channels.

    Returns:
      uint8 `[B, H, W, C]`.
    """
    return _decode_each(contents, codes, shape, lambda image: image)


def decode_upright(contents: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """As `decode_batch`, where all codes are 1: in half the time for small images."""
    *size, channels = shape
    return tf.map_fn(
        lambda image: tf.ensure_shape(decode(image, size, channels), shape),
        contents,
        fn_output_signature=tf.TensorSpec(shape, tf.uint8),
        parallel_iterations=_PARALLEL,
    )


def decode_files(paths: tf.Tensor, codes: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """As `decode_batch`, of files that are read in parallel.

    Args:
      paths: string `[B]`, local or remote.
      codes: int32 `[B]`, see `decode_any`.
      shape: height, width and channels.

    Returns:
      uint8 `[B, H, W, C]`.
    """
    return _decode_each(paths, codes, shape, tf.io.read_file)


def _decode_each(
    images: tf.Tensor,
    codes: tf.Tensor,
    shape: Sequence[int],
    read: Callable[[tf.Tensor], tf.Tensor],
) -> tf.Tensor:
    *size, channels = shape
    return tf.map_fn(
        lambda image: tf.ensure_shape(decode_any(read(image[0]), image[1], size, channels), shape),
        (images, codes),
        fn_output_signature=tf.TensorSpec(shape, tf.uint8),
        parallel_iterations=_PARALLEL,
    )


def decode(
    contents: tf.Tensor, size: Sequence[int], channels: int, orientation: int | tf.Tensor = 1
) -> tf.Tensor:
    """The pixels of a file that TensorFlow can decode; usable in a compiled function.

    Transparency is dropped.

    Args:
      contents: string `[]`: a JPEG, PNG, BMP or GIF (its first frame).
      size: height and width; empty: unchanged.
      channels: 1 or 3.
      orientation: EXIF code, int32 `[]`.

    Returns:
      uint8 `[H, W, channels]`.

    Raises:
      tf.errors.InvalidArgumentError: when run, if the file is truncated or not such an image.
    """
    pixels = tf.io.decode_image(contents, channels=3, expand_animations=False)
    pixels.set_shape([None, None, 3])
    if channels == 1:
        # The decoders have other weights for gray, each its own.
        weighted = tf.reduce_sum(tf.cast(pixels, tf.int32) * _GRAY, axis=-1, keepdims=True)
        pixels = tf.cast((weighted + 2**15) // 2**16, tf.uint8)
    return resize(_oriented(pixels, orientation), size)


def _oriented(pixels: tf.Tensor, code: int | tf.Tensor) -> tf.Tensor:
    """Images `[H, W, C]` as their EXIF code says: transposed, then flipped."""
    if isinstance(code, int) and code == 1:
        return pixels

    def if_among(codes: Sequence[int], change: Callable[[tf.Tensor], tf.Tensor]) -> None:
        nonlocal pixels
        image = pixels
        chosen = tf.reduce_any(tf.equal(code, tf.constant(codes)))
        pixels = tf.cond(chosen, lambda: change(image), lambda: image)

    if_among((5, 6, 7, 8), _transposed)
    if_among((2, 3, 6, 7), lambda image: tf.reverse(image, (1,)))
    if_among((3, 4, 7, 8), lambda image: tf.reverse(image, (0,)))
    return pixels


def _transposed(image: tf.Tensor) -> tf.Tensor:
    # On processors without AVX-512 oneDNN prints a line when `tf.transpose` gets bytes, also where
    # they are cast before, since casts are moved behind it.
    height, width, _ = tf.unstack(tf.shape(image))
    places = tf.range(height) * width + tf.range(width)[:, tf.newaxis]
    return tf.gather(tf.reshape(image, (-1, image.shape[-1])), places)


def resize(pixels: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """Images in another size, bilinear with antialiasing, rounded.

    Images that have the size are unchanged.

    Args:
      pixels: uint8 `[H, W, C]`.
      size: height and width; empty: unchanged.

    Returns:
      uint8 `[height, width, C]`.
    """
    if not size:
        return pixels

    def resized() -> tf.Tensor:
        values = tf.image.resize(pixels, tuple(size), antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(values), 0, 255), tf.uint8)

    # Resampling to the same size would change nothing, and take most of the time.
    return tf.cond(tf.reduce_all(tf.shape(pixels)[:2] == tuple(size)), lambda: pixels, resized)


def decode_with_pillow(contents: bytes, channels: int) -> NDArray[np.uint8]:
    """The pixels of any image file that `inspect` accepts, uint8 `[H, W, channels]`.

    Of 16-bit pixels the upper 8 bits are kept. Transparency is dropped. Of an animation it is the
    first frame. Raises Pillow's own exceptions.
    """
    with Image.open(io.BytesIO(contents), formats=_FORMATS) as file:
        image = ImageOps.exif_transpose(file)
    if image.mode.startswith("I"):
        pixels = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        image = Image.fromarray(pixels)
    if image.mode == "P":
        # Without this step Pillow warns about palettes with transparency.
        image = image.convert("RGBA")
    image = image.convert(_MODES[channels])
    return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)


def check_images_fit(examples: int, shape: Iterable[int], what: str) -> None:
    """Checks that uint8 images fit into the available memory.

    Raises:
      UserError: with both sizes; `what` names the data set.
    """
    check_fits(image_memory(examples, shape), "use a smaller data.image_size", what)


def image_memory(examples: int, shape: Iterable[int]) -> int:
    """Bytes that uint8 images take in memory."""
    return _COPIES * examples * math.prod(shape)

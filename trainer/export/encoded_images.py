"""From the bytes of image files to stored images, in TensorFlow operations alone.

Training and `trainer predict` read headers with Pillow, which an exported graph does not have.
"""

from collections.abc import Sequence

from trainer.compat.keras import tf
from trainer.data.decoding import MOST_PIXELS, decode

# The EXIF data of a JPEG lie in one of its first segments, of at most 64 KiB each.
_EXIF_BYTES = 2**17
_EXIF = tuple(b"Exif\x00\x00")
_ORIENTATION = 0x0112
# The size in the header of a BMP ends here, that of a PNG before.
_HEADER_BYTES = 26


def decode_images(contents: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Stored images uint8 `[B, H, W, C]` of files of any size.

    Args:
      contents: string `[B]`, each a JPEG, a PNG or BMP with 8 bits per channel, or a GIF.
      shape: height, width and channels of a stored image.

    Raises:
      tf.errors.InvalidArgumentError: when run, if a file is empty, damaged, of another format, or
        has more than 10^8 pixels.
    """
    *size, channels = shape

    def one(image: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([_check(image)]):
            image = tf.identity(image)
        return tf.ensure_shape(decode(image, size, channels, orientation(image)), shape)

    # One after the other: several of 10^8 pixels would not fit into memory.
    spec = tf.TensorSpec(shape, tf.uint8)
    return tf.map_fn(one, contents, fn_output_signature=spec, parallel_iterations=1)


def _check(contents: tf.Tensor) -> tf.Operation:
    pixels = number_of_pixels(contents)
    length = tf.strings.length(contents)
    known = tf.debugging.Assert(
        pixels > 0, ["expected a JPEG, PNG, BMP or GIF image. Received a file of bytes:", length]
    )
    few = tf.debugging.Assert(
        pixels <= MOST_PIXELS,
        [f"an image must have at most {MOST_PIXELS:,} pixels; make it smaller. Received:", pixels],
    )
    return tf.group(known, few)


def number_of_pixels(contents: tf.Tensor) -> tf.Tensor:
    """Height times width in the header of a file, int64 `[]`; 0 if it has no known format."""
    header = tf.cast(_bytes(contents, _HEADER_BYTES), tf.int64)

    def starts_with(magic: bytes) -> tf.Tensor:
        return tf.equal(tf.strings.substr(contents, 0, len(magic)), magic)

    def number(places: Sequence[int]) -> tf.Tensor:
        """A number whose bytes are at these places, the highest first."""
        value = tf.constant(0, tf.int64)
        for place in places:
            value = 256 * value + header[place]
        return value

    pixels = tf.constant(0, tf.int64)
    for magic, height, width in (
        (b"\x89PNG\r\n\x1a\n", range(20, 24), range(16, 20)),
        (b"GIF8", (9, 8), (7, 6)),
        # The height is negative if the rows are stored from the top.
        (b"BM", (25, 24, 23, 22), (21, 20, 19, 18)),
    ):
        rows = number(height)
        rows = tf.minimum(rows, 2**32 - rows)
        pixels = tf.where(starts_with(magic), rows * number(width), pixels)

    def of_jpeg() -> tf.Tensor:
        size = tf.cast(tf.io.extract_jpeg_shape(contents), tf.int64)
        return size[0] * size[1]

    return tf.cond(starts_with(b"\xff\xd8\xff"), of_jpeg, lambda: pixels)


def orientation(contents: tf.Tensor) -> tf.Tensor:
    """The EXIF orientation of a JPEG, int32 `[]` from 1 to 8; 1 if there is none.

    Source: CIPA DC-008 (Exif 2.32), section 4.6: the field 0x0112 of the first directory.
    """
    data = tf.cast(_bytes(contents, _EXIF_BYTES), tf.int32)
    last = _EXIF_BYTES - len(_EXIF)
    matches = [tf.equal(data[i : last + i], byte) for i, byte in enumerate(_EXIF)]
    found = tf.reduce_all(tf.stack(matches), axis=0)
    start = tf.argmax(found, output_type=tf.int32) + len(_EXIF)

    def number(places: tf.Tensor, length: int) -> tf.Tensor:
        """Numbers of `length` bytes at places relative to the start, in the file's byte order."""
        is_little = tf.equal(data[tf.minimum(start, last)], ord("I"))
        value = tf.zeros_like(places)
        for i in range(length):
            place = start + places + tf.where(is_little, length - 1 - i, i)
            value = 256 * value + tf.gather(data, tf.clip_by_value(place, 0, _EXIF_BYTES - 1))
        return value

    directory = number(tf.constant(4), 4)
    fields = directory + 2 + 12 * tf.range(number(directory, 2))
    is_orientation = tf.equal(number(fields, 2), _ORIENTATION)
    # A short number lies at the beginning of the field's value.
    code = tf.reduce_max(tf.where(is_orientation, number(fields + 8, 2), 0), axis=0)
    is_valid = tf.reduce_any(found) & (code >= 1) & (code <= 8)
    is_jpeg = tf.equal(tf.strings.substr(contents, 0, 2), b"\xff\xd8")
    return tf.where(is_jpeg & is_valid, code, 1)


def _bytes(contents: tf.Tensor, count: int) -> tf.Tensor:
    """The first bytes of a file, with zeros behind a shorter one, uint8 `[count]`."""
    beginning = tf.strings.substr(contents, 0, count)
    return tf.ensure_shape(tf.io.decode_raw(beginning, tf.uint8, fixed_length=count), [count])

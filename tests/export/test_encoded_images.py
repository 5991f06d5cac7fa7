"""Decoding of uploaded images in TensorFlow, against what `trainer predict` reads."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from trainer.compat.keras import tf
from trainer.data.decoding import read_image
from trainer.export.encoded_images import decode_images, number_of_pixels, orientation

PIXELS = np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)


def encoded(kind, mode="RGB", code=0, byte_order="<"):
    file = io.BytesIO()
    exif = Image.Exif()
    exif.endian = byte_order
    if code:
        # Fields before and behind the orientation.
        exif[0x010F] = "maker"
        exif[0x0112] = code
        exif[0x0131] = "software"
    options = {"exif": exif} if code else {}
    Image.fromarray(PIXELS).convert(mode).save(file, kind, **options)
    return file.getvalue()


FILES = {
    **{f"{kind} {mode}": encoded(kind, mode) for kind in ("PNG", "JPEG") for mode in ("L", "RGB")},
    "BMP": encoded("BMP"),
    **{
        f"orientation {code} {order}": encoded("JPEG", code=code, byte_order=order)
        for code in range(1, 9)
        for order in "<>"
    },
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(13, 17), (8, 5)])
def test_images_are_those_of_prediction(channels, size):
    decoded = tf.function(lambda contents: decode_images(contents, (*size, channels)))
    images = decoded(tf.constant(list(FILES.values())))
    for name, contents, image in zip(FILES, FILES.values(), images, strict=True):
        expected = read_image(contents, name, size, channels)
        np.testing.assert_array_equal(image, expected, err_msg=name)


@pytest.mark.parametrize("code", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation(code, order):
    assert orientation(tf.constant(encoded("JPEG", code=code, byte_order=order))) == code


def test_an_invalid_orientation_is_ignored():
    assert orientation(tf.constant(encoded("JPEG", code=9))) == 1
    assert orientation(tf.constant(b"\xff\xd8\xffExif\x00\x00II")) == 1
    assert orientation(tf.constant(b"")) == 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF"])
def test_the_number_of_pixels_is_read_from_the_header(kind):
    assert number_of_pixels(tf.constant(encoded(kind))) == 13 * 17


def bomb():
    """A PNG of 20,000 x 20,000 pixels in a few bytes."""

    def chunk(name, data):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "expected a JPEG, PNG, BMP or GIF image"),
        (b"not an image", "expected a JPEG, PNG, BMP or GIF image"),
        (bomb(), "at most 100,000,000 pixels"),
        (encoded("PNG")[:60], "PNG"),
        (encoded("JPEG")[:200], "JPEG"),
    ],
    ids=["empty", "text", "20,000 x 20,000", "half a PNG", "half a JPEG"],
)
def test_unusable_images_are_refused(contents, message):
    decoded = tf.function(lambda contents: decode_images(contents, (13, 17, 3)))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decoded(tf.constant([encoded("PNG"), contents]))

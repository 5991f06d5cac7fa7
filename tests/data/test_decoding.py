"""Decoding and resizing, against Pillow and NumPy."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trainer.compat.keras import tf
from trainer.data.decoding import (
    decode_batch,
    decode_files,
    image_memory,
    inspect,
    read_image,
    resize,
)
from trainer.data.image_check import check_images
from trainer.errors import UserError

RANDOM = np.random.default_rng(0)
HEIGHT, WIDTH = 24, 17
# Smooth, so that what is lost by compression is small.
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
PIXELS = np.stack([10 * ROWS, 15 * COLUMNS, 5 * (ROWS + COLUMNS)], axis=-1).astype(np.uint8)
NOISE = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
ALPHA = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 1), np.uint8)
ORIENTATION = 0x0112


def encode(image, kind, **options):
    buffer = io.BytesIO()
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gray(pixels):
    """As ITU-R 601 and Pillow have it."""
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]


def as_shown(stored, code):
    """The pixels as EXIF says: where the first row and column of the file belong."""
    match code:
        case 2:
            return stored[:, ::-1]
        case 3:
            return np.rot90(stored, 2)
        case 4:
            return stored[::-1]
        case 5:
            return stored.swapaxes(0, 1)
        case 6:
            return np.rot90(stored, -1)
        case 7:
            return np.rot90(stored, 2).swapaxes(0, 1)
        case 8:
            return np.rot90(stored, 1)
    return stored


def animation():
    frames = [Image.fromarray(pixels) for pixels in (PIXELS, NOISE)]
    return {"save_all": True, "append_images": frames[1:]}


def palette(**options):
    image = Image.fromarray(NOISE).quantize(16)
    return encode(image, "PNG", **options), np.asarray(image.convert("RGB"))


def bmp_of_32_bits():
    """Pillow writes no such file: a header of 40 bytes, then blue, green, red and a fourth byte."""
    rows = np.concatenate([NOISE[::-1, :, ::-1], ALPHA], axis=-1).tobytes()
    header = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 32, 0, len(rows), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + header + rows


RGBA, LA = np.concatenate([NOISE, ALPHA], axis=-1), np.concatenate([NOISE[..., :1], ALPHA], axis=-1)
SINGLE = NOISE[..., 0]
WIDE = (SINGLE.astype(np.uint16) << 8) + 199
# Contents and color pixels.
LOSSLESS = {
    "png": (encode(NOISE, "PNG"), NOISE),
    "interlaced png": (encode(NOISE, "PNG", interlace=1), NOISE),
    "gray png": (encode(SINGLE, "PNG"), SINGLE),
    "1 bit png": (encode(Image.fromarray(SINGLE > 99), "PNG"), 255 * (SINGLE > 99)),
    "16 bit png": (encode(WIDE, "PNG"), SINGLE),
    "palette png": palette(),
    "palette png of 2 bits": (
        encode(Image.fromarray(NOISE).quantize(4), "PNG", bits=2),
        np.asarray(Image.fromarray(NOISE).quantize(4).convert("RGB")),
    ),
    "palette png with alpha": palette(transparency=bytes(range(16))),
    "png with a transparent color": (encode(NOISE, "PNG", transparency=(1, 2, 3)), NOISE),
    "png with alpha": (encode(RGBA, "PNG"), NOISE),
    "gray png with alpha": (encode(Image.fromarray(LA, "LA"), "PNG"), SINGLE),
    "bmp": (encode(NOISE, "BMP"), NOISE),
    "gray bmp": (encode(SINGLE, "BMP"), SINGLE),
    "32 bit bmp": (bmp_of_32_bits(), NOISE),
    "gif": (encode(SINGLE, "GIF"), SINGLE),
    "animated gif": (
        encode(PIXELS, "GIF", **animation()),
        np.asarray(Image.open(io.BytesIO(encode(PIXELS, "GIF", **animation()))).convert("RGB")),
    ),
    "tiff": (encode(NOISE, "TIFF"), NOISE),
    "gray tiff": (encode(SINGLE, "TIFF"), SINGLE),
    "16 bit tiff": (encode(WIDE, "TIFF"), SINGLE),
    "compressed tiff": (encode(NOISE, "TIFF", compression="tiff_lzw"), NOISE),
    "webp": (encode(NOISE, "WEBP", lossless=True), NOISE),
    "webp with alpha": (encode(RGBA, "WEBP", lossless=True, exact=True), NOISE),
}
LOSSY = {
    "jpeg": encode(PIXELS, "JPEG", quality=95),
    "jpeg without subsampling": encode(PIXELS, "JPEG", quality=95, subsampling=0),
    "progressive jpeg": encode(PIXELS, "JPEG", quality=95, progressive=True),
    "gray jpeg": encode(PIXELS[..., 0], "JPEG", quality=95),
    "jpeg of four inks": encode(Image.fromarray(PIXELS).convert("CMYK"), "JPEG", quality=95),
    "webp": encode(PIXELS, "WEBP", quality=95),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_images_are_decoded_exactly(kind):
    contents, pixels = LOSSLESS[kind]
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=-1)
    pixels = pixels.astype(np.uint8)
    found = read_image(contents, "x", (), 3)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_array_equal(read_image(contents, "x", (), 1), gray(pixels))


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_images_are_decoded_as_by_pillow(kind):
    contents = LOSSY[kind]
    image = Image.open(io.BytesIO(contents))
    found = read_image(contents, "x", (), 3)
    # TensorFlow's cosine transform of a JPEG is faster and less exact than Pillow's.
    np.testing.assert_allclose(found.astype(int), np.asarray(image.convert("RGB")), atol=8)
    found = read_image(contents, "x", (), 1)
    expected = np.asarray(image.convert("RGB").convert("L"))[..., None]
    np.testing.assert_allclose(found.astype(int), expected, atol=8)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("code", range(10))
def test_the_orientation_is_applied(kind, code):
    exif = Image.Exif()
    exif[ORIENTATION] = code
    stored = NOISE
    if kind == "JPEG":
        # Without what compression changes.
        stored = read_image(encode(NOISE, "JPEG"), "x", (), 3)
    contents = encode(NOISE, kind, exif=exif)
    expected = as_shown(stored, code)
    info = inspect(contents, "x")
    assert (info.height, info.width) == expected.shape[:2]
    found = read_image(contents, "x", (), 3)
    np.testing.assert_array_equal(found, expected)
    turned = read_image(contents, "x", expected.shape[:2], 3)
    np.testing.assert_array_equal(turned, found)


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([1, 3]),
    st.integers(0, 99),
)
def test_resizing_is_bilinear_and_antialiased(size, other, channels, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, channels), np.uint8)
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    expected = np.asarray(image.resize(other[::-1], Image.Resampling.BILINEAR), int)
    found = resize(tf.constant(pixels), other).numpy()
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found.astype(int), expected.reshape(*other, channels), atol=1)


def test_resizing_averages():
    checks = np.zeros((64, 64, 1), np.uint8)
    checks[::2, ::2] = 255
    np.testing.assert_allclose(resize(tf.constant(checks), (8, 16)), 255 / 4, atol=10)


def test_images_of_that_size_are_unchanged():
    for size in ((), (HEIGHT, WIDTH)):
        np.testing.assert_array_equal(resize(tf.constant(NOISE), size), NOISE)


BATCH = [LOSSLESS[kind][0] for kind in LOSSLESS] + list(LOSSY.values())


def test_a_batch_has_the_pixels_of_its_files(tmp_path):
    checked = check_images(BATCH, ["x"] * len(BATCH))
    assert not any(checked.errors)
    assert (checked.sizes == (HEIGHT, WIDTH)).all()
    assert 0 in checked.codes
    assert 1 in checked.codes
    paths = [str(tmp_path / str(number)) for number in range(len(BATCH))]
    for path, contents in zip(paths, BATCH, strict=True):
        with open(path, "wb") as file:
            file.write(contents)
    codes = checked.codes.astype(np.int32)
    for shape in ((HEIGHT, WIDTH, 3), (9, 8, 1)):
        expected = [read_image(contents, "x", shape[:2], shape[2]) for contents in BATCH]
        np.testing.assert_array_equal(decode_batch(tf.constant(BATCH), codes, shape), expected)
        np.testing.assert_array_equal(decode_files(tf.constant(paths), codes, shape), expected)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("left", [0.0, 0.01, 0.1, 0.3, 0.6, 0.9])
def test_a_truncated_image_is_named(kind, left):
    contents = encode(RANDOM.integers(0, 256, (64, 64, 3), np.uint8), kind)
    part = contents[: int(len(contents) * left)]
    message = rf"the image a/cat\.png cannot be read \({len(part)} bytes, \w+\); replace or remove"
    with pytest.raises(UserError, match=message) as caught:
        read_image(part, "a/cat.png", (), 3)
    assert "\n" not in str(caught.value)
    checked = check_images([contents, part, contents], ["x", "a/cat.png", "y"])
    assert checked.errors == ["", str(caught.value), ""]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("left", [0.3, 0.6, 0.9])
def test_a_truncated_photograph_with_a_thumbnail_is_named(progressive, left):
    # The thumbnail has an end of its own.
    exif = Image.Exif()
    thumbnail = encode(PIXELS, "JPEG")
    exif[0x010E] = "a description"
    contents = encode(
        RANDOM.integers(0, 256, (64, 64, 3), np.uint8), "JPEG", progressive=progressive, exif=exif
    )
    segment = b"\xff\xed" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    contents = contents[:2] + segment + contents[2:]
    assert read_image(contents, "x", (), 3).shape == (64, 64, 3)
    with pytest.raises(UserError, match="the image x cannot be read"):
        read_image(
            contents[: len(segment) + int(left * (len(contents) - len(segment)))], "x", (), 3
        )


def test_a_png_whose_pixels_are_whole_but_not_its_end():
    with pytest.raises(UserError, match="the image x cannot be read"):
        read_image(encode(NOISE, "PNG")[:-12], "x", (), 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_damaged_image_does_not_end_the_process(kind):
    contents = bytearray(encode(NOISE, kind))
    for place in range(0, len(contents), 11):
        damaged = bytearray(contents)
        damaged[place] ^= 0x55
        try:
            pixels = read_image(bytes(damaged), "x", (), 3)
        except UserError as error:
            assert str(error).startswith("the image x ")  # noqa: PT017
        else:
            assert pixels.shape[-1] == 3


def huge(kind):
    """A small file of an image that fills the memory."""
    if kind == "jpeg":
        contents = bytearray(encode(NOISE, "JPEG"))
        frame = contents.index(b"\xff\xc0")
        contents[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 60_000)
        return bytes(contents)
    if kind == "bmp":
        contents = bytearray(encode(NOISE, "BMP"))
        contents[18:26] = struct.pack("<ii", 60_000, 60_000)
        return bytes(contents)
    if kind == "gif":
        contents = bytearray(encode(SINGLE, "GIF"))
        contents[6:10] = struct.pack("<HH", 60_000, 60_000)
        return bytes(contents)
    image = Image.new("1", (10_001, 10_000))
    return encode(image, kind, **({"compression": "group4"} if kind == "tiff" else {}))


# While the test makes such an image.
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg", "bmp", "gif"])
def test_an_image_that_would_fill_the_memory_is_refused(kind):
    contents = huge(kind)
    assert len(contents) < 100_000
    with pytest.raises(UserError, match="the image x has more than 100,000,000 pixels"):
        inspect(contents, "x")


@pytest.mark.parametrize("contents", [b"", b"text", b"<svg/>", b"%PDF-1.4\n", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_named(contents):
    with pytest.raises(UserError, match="the image x cannot be read"):
        inspect(contents, "x")


def test_formats_that_start_other_programs_are_not_read():
    contents = encode(NOISE, "EPS")
    with pytest.raises(UserError, match="the image x cannot be read"):
        inspect(contents, "x")


def test_memory_counts_the_copy_that_is_made_while_splitting():
    assert image_memory(10, (4, 5, 3)) == 2 * 10 * 60

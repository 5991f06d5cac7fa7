import io

import numpy as np
import pytest
from PIL import Image

from trainer.data.decoding import decode_image, fit_image
from trainer.errors import UserError

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (6, 5, 3), np.uint8)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_lossless_images_are_decoded_exactly():
    for kind in ("PNG", "BMP", "TIFF"):
        image = decode_image(encode(Image.fromarray(PIXELS), kind), "x")
        np.testing.assert_array_equal(fit_image(image, (), 3), PIXELS)


def test_grey_and_colour():
    grey = Image.fromarray(PIXELS[..., 0])
    np.testing.assert_array_equal(fit_image(grey, (), 1), PIXELS[..., :1])
    np.testing.assert_array_equal(fit_image(grey, (), 3), PIXELS[..., :1].repeat(3, axis=2))
    luminance = PIXELS @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(fit_image(Image.fromarray(PIXELS), (), 1)[..., 0], luminance, atol=1)


def test_sixteen_bits_keep_their_upper_half():
    wide = (PIXELS[..., 0].astype(np.uint16) << 8) + 99
    image = decode_image(encode(Image.fromarray(wide), "PNG"), "x")
    np.testing.assert_array_equal(fit_image(image, (), 1)[..., 0], PIXELS[..., 0])


@pytest.mark.filterwarnings("error")
def test_a_palette_with_transparency():
    image = Image.fromarray(PIXELS[..., 0]).convert("P")
    contents = encode(image, "PNG", transparency=bytes(range(256)))
    np.testing.assert_array_equal(fit_image(decode_image(contents, "x"), (), 1), PIXELS[..., :1])


def test_resizing_averages():
    checks = np.zeros((64, 64), np.uint8)
    checks[::2, ::2] = 255
    small = fit_image(Image.fromarray(checks), (8, 16), 1)
    assert small.shape == (8, 16, 1)
    np.testing.assert_allclose(small, 255 / 4, atol=10)


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    contents = encode(Image.fromarray(PIXELS), "JPEG", exif=exif)
    assert fit_image(decode_image(contents, "x"), (), 3).shape == (5, 6, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
@pytest.mark.parametrize("left", [0.0, 0.3, 0.9])
def test_a_truncated_image_is_named(kind, left):
    pixels = RANDOM.integers(0, 256, (64, 64, 3), np.uint8)
    contents = encode(Image.fromarray(pixels), kind)
    with pytest.raises(UserError, match=r"the image cat\.png cannot be read"):
        decode_image(contents[: int(len(contents) * left)], "cat.png")


def test_a_png_whose_pixels_are_whole_but_not_its_end():
    contents = encode(Image.fromarray(PIXELS), "PNG")
    with pytest.raises(UserError, match=r"the image cat\.png cannot be read"):
        decode_image(contents[:-12], "cat.png")

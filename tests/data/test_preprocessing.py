import io

import numpy as np
import pytest
from PIL import Image

from trainer.compat.keras import tf
from trainer.data.examples import Signature, Split
from trainer.data.preprocessing import (
    decode_image,
    fit_image,
    normalization,
    normalize,
    read_examples,
)
from trainer.errors import UserError

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (6, 5, 3), np.uint8)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def signature(kind="image", shape=(6, 5, 3), columns=()):
    width = shape[-1]
    return Signature(kind, shape, ("a", "b"), columns, (1.5,) * width, (0.1 + 1e-17,) * width)


def test_the_signature_survives_json_exactly():
    import json

    original = signature()
    assert Signature.from_json(json.loads(json.dumps(original.to_json()))) == original


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalize(jit, dtype):
    features = RANDOM.integers(0, 256, (4, 3)).astype(dtype)
    made = Signature("table", (3,), ("a", "b"), ("x", "y", "z"), (1.0, 2.0, 3.0), (0.5, 2.0, 1.0))
    result = tf.function(normalize, jit_compile=jit)(tf.constant(features), made)
    assert result.dtype == tf.float32
    np.testing.assert_allclose(
        result, (features.astype(np.float64) - [1, 2, 3]) * [0.5, 2, 1], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("unit", 0, 1), ("half", -1, 1), ("none", 0, 255)]
)
def test_fixed_normalizations(kind, low, high):
    split = Split(np.array([[[[0, 255]]]], np.uint8), np.zeros(1, np.int32))
    offset, scale = normalization(kind, split)
    result = (np.array([0, 255]) - offset) * scale
    np.testing.assert_allclose(result, [low, high])


def test_standard_normalization_measures_the_training_split():
    features = RANDOM.normal(3, 7, (5000, 2)).astype(np.float32)
    features = np.concatenate([features, np.full((5000, 1), 0.1, np.float32)], axis=1)
    offset, scale = normalization("standard", Split(features, np.zeros(5000, np.int32)))
    assert scale[2] == 1
    result = (features - offset) * scale
    np.testing.assert_allclose(result.mean(axis=0), [0, 0, 0], atol=1e-5)
    # A column that does not vary stays finite.
    np.testing.assert_allclose(result.std(axis=0), [1, 1, 0], atol=1e-5)


def test_a_lossless_image_comes_back_as_it_was():
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


def test_a_camera_held_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    contents = encode(Image.fromarray(PIXELS), "JPEG", exif=exif)
    assert fit_image(decode_image(contents, "x"), (), 3).shape == (5, 6, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
@pytest.mark.parametrize("left", [0.0, 0.3, 0.9])
def test_a_truncated_image_is_named(kind, left):
    pixels = RANDOM.integers(0, 256, (64, 64, 3), np.uint8)
    contents = encode(Image.fromarray(pixels), kind)
    with pytest.raises(UserError, match=r"Received: cat\.png"):
        decode_image(contents[: int(len(contents) * left)], "cat.png")


def test_a_png_whose_pixels_are_whole_but_not_its_end():
    contents = encode(Image.fromarray(PIXELS), "PNG")
    with pytest.raises(UserError, match=r"Received: cat\.png"):
        decode_image(contents[:-12], "cat.png")


def test_prediction_reads_what_training_read(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    Image.fromarray(PIXELS[::-1]).resize((50, 60)).save(tmp_path / "b.png")
    paths = [str(tmp_path / name) for name in ("a.png", "b.png")]
    features, names = read_examples(paths, signature())
    assert names == paths
    assert features.shape == (2, 6, 5, 3)
    np.testing.assert_array_equal(features[0], PIXELS)


def test_rows_of_a_table_are_named_by_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("y,label,x\n1,a,2\n3,b,4\n")
    features, names = read_examples([str(path)], signature("table", (2,), ("x", "y")))
    np.testing.assert_array_equal(features, [[2, 1], [4, 3]])
    assert names == [f"{path}:2", f"{path}:3"]
    path.write_text("x,z\n1,2\n")
    with pytest.raises(UserError, match=r"unknown column.*Received: 'y'"):
        read_examples([str(path)], signature("table", (2,), ("x", "y")))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_examples([str(tmp_path / "none.png")], signature())
    with pytest.raises(UserError, match="cannot be read"):
        read_examples([str(tmp_path)], signature())

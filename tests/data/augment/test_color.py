"""Each operation against Pillow, which AutoAugment's are defined by, image by image."""

import colorsys

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from trainer.compat.keras import tf
from trainer.config import ColorJitter
from trainer.data.augment import color

FACTORS = np.float32([0.0, 0.1, 0.7, 1.0, 1.3, 1.9])


@pytest.fixture(params=[1, 3], ids=["grayscale", "rgb"])
def images(request, random_images):
    """Among them narrow ranges of values, and one value only."""
    made = random_images(6, 7, 9, request.param)
    made[1] = made[1] // 4 + 30
    made[2] = made[2] // 64 * 20
    made[3] = 77
    return made


def pillow(function, images, *arguments):
    """The results of a function of Pillow images and one more argument, image by image."""
    results = []
    for image, *values in zip(images, *arguments, strict=True):
        source = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        results.append(np.asarray(function(source, *values)).reshape(image.shape))
    return np.stack(results).astype(int)


@pytest.mark.parametrize(
    ("operation", "enhancement", "tolerance"),
    [
        (color.brightness, ImageEnhance.Brightness, 1),
        # Pillow rounds the mean.
        (color.contrast, ImageEnhance.Contrast, 1),
        (color.color, ImageEnhance.Color, 2),
        (color.sharpness, ImageEnhance.Sharpness, 2),
    ],
)
def test_enhancements(images, operation, enhancement, tolerance):
    expected = pillow(lambda image, factor: enhancement(image).enhance(factor), images, FACTORS)
    found = operation(tf.constant(images), tf.constant(FACTORS)).numpy().astype(int)
    assert abs(found - expected).max() <= tolerance
    np.testing.assert_array_equal(found[3], images[3] if operation != color.brightness else 77)


@pytest.mark.parametrize(
    ("operation", "reference"),
    [
        (color.invert, ImageOps.invert),
        (color.equalize, ImageOps.equalize),
    ],
)
def test_operations_without_a_parameter(images, operation, reference):
    np.testing.assert_array_equal(operation(tf.constant(images)), pillow(reference, images))


def test_autocontrast(images):
    expected = pillow(ImageOps.autocontrast, images)
    found = color.autocontrast(tf.constant(images)).numpy().astype(int)
    # Pillow rounds down.
    assert set(np.unique(found - expected)) <= {0, 1}


def test_equalize_of_an_even_histogram_changes_little():
    image = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    np.testing.assert_array_equal(color.equalize(tf.constant(image)), image)


def test_posterize(images):
    bits = np.int32([8, 7, 6, 4, 2, 1])
    expected = pillow(lambda image, kept: ImageOps.posterize(image, int(kept)), images, bits)
    np.testing.assert_array_equal(color.posterize(tf.constant(images), tf.constant(bits)), expected)


def test_solarize(images):
    thresholds = np.float32([0, 30, 77, 128, 200, 256])
    expected = pillow(ImageOps.solarize, images, thresholds)
    found = color.solarize(tf.constant(images), tf.constant(thresholds))
    np.testing.assert_array_equal(found, expected)


def test_shift_hue(random_images):
    images, turns = random_images(3, 4, 5, 3), np.float32([-0.3, 0.0, 0.4])
    found = color.shift_hue(tf.constant(images), tf.constant(turns)).numpy()
    for image, result, turn in zip(images, found, turns, strict=True):
        for pixel, changed in zip(image.reshape(-1, 3), result.reshape(-1, 3), strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
            expected = np.array(colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)) * 255
            np.testing.assert_allclose(changed, expected, atol=0.51)


def test_color_jitter_draws_factors_of_the_given_ranges(draws_of):
    draws = draws_of(500)
    gray = np.full((500, 2, 2, 1), 100, np.uint8)
    found = color.color_jitter(
        ColorJitter(brightness=0.3, contrast=0.0, saturation=0.0), tf.constant(gray), draws
    ).numpy()
    expected = 100 * (0.7 + 0.6 * draws.uniform(0).numpy())
    np.testing.assert_allclose(found[:, 0, 0, 0], expected, atol=0.51)


def test_color_jitter_applies_its_parts_in_order(random_images, draws_of):
    images, draws = random_images(9, 4, 5, 3), draws_of(9)
    config = ColorJitter(brightness=0.1, contrast=0.2, saturation=0.3, hue=0.4)
    expected = tf.constant(images)
    for number, operation, strength in (
        (0, color.brightness, 0.1),
        (1, color.contrast, 0.2),
        (2, color.color, 0.3),
    ):
        factors = 1 - strength + 2 * strength * draws.uniform(number).numpy()
        expected = operation(expected, tf.constant(factors))
    expected = color.shift_hue(expected, 0.4 * (2 * draws.uniform(3) - 1)).numpy().astype(int)
    found = color.color_jitter(config, tf.constant(images), draws).numpy()
    # Factors may differ in the last bit.
    assert abs(found - expected).max() <= 2


@pytest.mark.parametrize("shape", [(1, 1), (2, 5)])
def test_small_images_have_no_sharpness(random_images, shape):
    images = random_images(6, *shape, 3)
    np.testing.assert_array_equal(color.sharpness(tf.constant(images), FACTORS), images)

"""Each operation against loops over images and pixels in NumPy, given the same draws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.compat.keras import tf
from trainer.config import RandomCrop, RandomFlip, RandomResizedCrop
from trainer.data.augment import geometric
from trainer.data.augment.random import Draws
from trainer.data.pipelines.order import Natural

few = settings(deadline=None, max_examples=10)


@pytest.mark.parametrize("mode", ["constant", "reflect"])
@given(st.integers(5, 9), st.integers(5, 9), st.sampled_from([1, 3]), st.integers(1, 4))
@few
def test_crop(random_images, draws_of, mode, height, width, channels, padding):
    images, draws = random_images(6, height, width, channels), draws_of(6)
    found = geometric.crop(RandomCrop(padding=padding, mode=mode), tf.constant(images), draws)
    tops, lefts = (np.floor(draws.uniform(n).numpy() * (2 * padding + 1)) for n in (0, 1))
    for image, result, top, left in zip(images, found, tops, lefts, strict=True):
        padded = np.pad(image, [(padding, padding), (padding, padding), (0, 0)], mode=mode)
        window = padded[int(top) :, int(left) :][:height, :width]
        np.testing.assert_array_equal(result, window)


def test_crops_use_every_window(draws_of):
    images = np.zeros((500, 3, 3, 1), np.uint8)
    images[:, 1, 1] = 1
    found = geometric.crop(RandomCrop(padding=1), tf.constant(images), draws_of(500)).numpy()
    share = found.mean(axis=0)[..., 0]
    np.testing.assert_allclose(share, 1 / 9, atol=0.05)


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_flip(random_images, draws_of, probability):
    images, draws = random_images(400, 3, 4, 1), draws_of(400)
    config = RandomFlip(probability=probability)
    found = geometric.flip(config, tf.constant(images), draws).numpy()
    flipped = draws.uniform(0).numpy() < probability
    expected = [image[:, ::-1] if flip else image for image, flip in zip(images, flipped, strict=1)]
    np.testing.assert_array_equal(found, expected)
    assert abs(flipped.mean() - probability) < 0.06


def test_alternating_flips_mirror_each_example_in_every_second_epoch():
    size, epochs = 40, 4
    draws = Draws(0, 0, Natural(size, 0).select(tf.range(size * epochs, dtype=tf.int64)))
    examples = draws.selection.examples.numpy()
    # A flipped image has its mark at the right.
    images = np.zeros((size * epochs, 1, 2, 1), np.uint8)
    images[:, 0, 0] = 1
    found = geometric.flip(RandomFlip(alternating=True), tf.constant(images), draws).numpy()
    flips = np.zeros((epochs, size), int)
    for position, example in enumerate(examples):
        flips[position // size, example] = found[position, 0, 1, 0]
    assert 0.25 < flips[0].mean() < 0.75
    np.testing.assert_array_equal(flips[1], 1 - flips[0])
    np.testing.assert_array_equal(flips[2:], flips[:2])


def bilinear(image, y, x):
    """The value at a real-valued place."""
    height, width = image.shape[:2]
    top, left = min(int(y), height - 1), min(int(x), width - 1)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = image[top, left] + (x - left) * (image[top, right] - image[top, left])
    lower = image[bottom, left] + (x - left) * (image[bottom, right] - image[bottom, left])
    return upper + (y - top) * (lower - upper)


@given(st.integers(2, 9), st.integers(2, 9), st.floats(0.1, 1.0), st.floats(1.0, 2.0))
@few
def test_random_resized_crop(random_images, draws_of, height, width, min_area, max_aspect):
    images, draws = random_images(5, height, width, 3), draws_of(5)
    config = RandomResizedCrop(min_area=min_area, min_aspect=0.5, max_aspect=max_aspect)
    found = geometric.random_resized_crop(config, tf.constant(images), draws)
    uniform = [draws.uniform(n).numpy().astype(float) for n in range(4)]
    for i, image in enumerate(images.astype(float)):
        area = min_area + uniform[0][i] * (1 - min_area)
        low = max(math.log(0.5), math.log(area * width / height))
        high = min(math.log(max_aspect), math.log(width / height / area))
        aspect = math.exp(low + uniform[1][i] * max(high - low, 0))
        rows = min(max(round(math.sqrt(area * height * width / aspect)), 1), height)
        columns = min(max(round(math.sqrt(area * height * width * aspect)), 1), width)
        top = int(uniform[2][i] * (height + 1 - rows))
        left = int(uniform[3][i] * (width + 1 - columns))
        expected = [
            [
                bilinear(
                    image,
                    top + y * (rows - 1) / (height - 1),
                    left + x * (columns - 1) / (width - 1),
                )
                for x in range(width)
            ]
            for y in range(height)
        ]
        np.testing.assert_allclose(found[i], expected, atol=0.51)


def test_windows_have_the_given_areas_and_aspects(draws_of):
    """A ramp in x and in y shows the window's size."""
    size = 101
    ramp = np.tile(np.arange(size, dtype=np.uint8), (size, 1))
    images = np.tile(np.stack([ramp, ramp.T, ramp], axis=2), (300, 1, 1, 1))
    config = RandomResizedCrop(min_area=0.2, max_area=0.6)
    found = geometric.random_resized_crop(config, tf.constant(images), draws_of(300)).numpy()
    columns = found[:, 0, -1, 0].astype(float) - found[:, 0, 0, 0] + 1
    rows = found[:, -1, 0, 1].astype(float) - found[:, 0, 0, 1] + 1
    area, aspect = rows * columns / size**2, columns / rows
    assert 0.19 < area.min() < 0.22
    assert 0.58 < area.max() < 0.61
    assert abs(area.mean() - 0.4) < 0.02
    assert 0.74 < aspect.min() < 0.78
    assert 1.28 < aspect.max() < 1.35
    assert abs(np.log(aspect).mean()) < 0.03


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("rotate", -40, 40),
        ("shear_x", -0.4, 0.4),
        ("shear_y", -0.4, 0.4),
        ("translate_x", -5, 5),
        ("translate_y", -5, 5),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_affine_operations(random_images, name, low, high, channels):
    height, width = 7, 9
    images = random_images(12, height, width, channels)
    amounts = np.random.default_rng(0).uniform(low, high, 12).astype(np.float32)
    found = getattr(geometric, name)(tf.constant(images), tf.constant(amounts)).numpy()
    for image, result, amount in zip(images, found, amounts, strict=True):
        angle = math.radians(amount)
        for y in range(height):
            for x in range(width):
                u, v = x - (width - 1) / 2, y - (height - 1) / 2
                source = {
                    "rotate": (
                        math.cos(angle) * u - math.sin(angle) * v + (width - 1) / 2,
                        math.sin(angle) * u + math.cos(angle) * v + (height - 1) / 2,
                    ),
                    "shear_x": (x + amount * y, y),
                    "shear_y": (x, y + amount * x),
                    "translate_x": (x + amount, y),
                    "translate_y": (x, y + amount),
                }[name]
                column, row = (math.floor(value + 0.5) for value in source)
                inside = 0 <= row < height and 0 <= column < width
                np.testing.assert_array_equal(result[y, x], image[row, column] if inside else 128)


def test_a_rotation_is_counterclockwise():
    image = np.zeros((1, 5, 5, 1), np.uint8)
    image[0, 2, 4] = 1
    found = geometric.rotate(tf.constant(image), tf.constant([90.0])).numpy()
    assert found[0, 0, 2] == 1

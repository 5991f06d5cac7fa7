"""Mixing against loops over images in NumPy, and the distribution of its weights."""

import math

import numpy as np
import pytest
import scipy.stats

from trainer.compat.keras import tf
from trainer.config import CutMix, MixUp
from trainer.data.augment.mixing import beta_quantiles, make_mix

COUNT, CLASSES = 40, 3


@pytest.fixture
def pairs():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, COUNT, 7, 9, 3), np.uint8)
    labels = random.integers(0, CLASSES, (2, COUNT)).astype(np.int32)
    return images, labels


def mix_of(sections, pairs, draws):
    (images, partners), (labels, partner_labels) = pairs
    mix = make_mix(sections, 0, CLASSES)
    mixed, targets = mix(
        tf.constant(images),
        tf.constant(labels),
        tf.constant(partners),
        tf.constant(partner_labels),
        draws.selection,
    )
    return mixed.numpy(), targets.numpy()


def weights_of(section, draws, i, height=7, width=9):
    """The weights of the pixels of image i, from the given draws."""
    uniform = [draws.uniform(number).numpy()[i] for number in range(4)]
    level = (math.floor(uniform[1] * 4096) + 0.5) / 4096
    lam = scipy.stats.beta(section.alpha, section.alpha).ppf(level)
    weights = np.ones((height, width))
    if uniform[0] >= section.probability:
        return weights
    if isinstance(section, MixUp):
        return weights * lam
    y, x = int(uniform[2] * height), int(uniform[3] * width)
    rows, columns = (int(size * math.sqrt(1 - lam)) // 2 for size in (height, width))
    weights[max(y - rows, 0) : y + rows, max(x - columns, 0) : x + columns] = 0
    return weights


@pytest.mark.parametrize(
    "section", [MixUp(alpha=0.3), MixUp(alpha=4.0, probability=0.5), CutMix(), CutMix(alpha=0.4)]
)
def test_mixed_images_and_targets(section, pairs, draws_of):
    draws = draws_of(COUNT)
    images, labels = pairs
    mixed, targets = mix_of((section,), pairs, draws)
    assert mixed.dtype == np.uint8
    assert targets.dtype == np.float32
    for i in range(COUNT):
        weights = weights_of(section, draws, i)
        expected = images[1, i] + weights[..., None] * (images[0, i].astype(float) - images[1, i])
        np.testing.assert_allclose(mixed[i], expected, atol=0.51)
        lam, classes = weights.mean(), np.eye(CLASSES)
        expected = lam * classes[labels[0, i]] + (1 - lam) * classes[labels[1, i]]
        np.testing.assert_allclose(targets[i], expected, atol=1e-5)


def test_of_several_sections_each_example_draws_one(pairs, draws_of):
    sections = (MixUp(alpha=5.0), CutMix(alpha=5.0))
    numbers = [draws_of(COUNT, augmentation=n) for n in range(2)]
    mixed, _ = mix_of(sections, pairs, numbers[0])
    images, _ = pairs
    used = []
    for i in range(COUNT):
        errors = []
        for section, draws in zip(sections, numbers, strict=True):
            weights = weights_of(section, draws, i)[..., None]
            expected = images[1, i] + weights * (images[0, i].astype(float) - images[1, i])
            errors.append(abs(mixed[i] - expected).max())
        used.append(int(np.argmin(errors)))
        assert min(errors) < 0.6
    assert 0.25 < np.mean(used) < 0.75


@pytest.mark.parametrize("section", [MixUp(probability=0.0), CutMix(probability=0.0)])
def test_probability_zero_mixes_nothing(section, pairs, draws_of):
    images, labels = pairs
    mixed, targets = mix_of((section,), pairs, draws_of(COUNT))
    np.testing.assert_array_equal(mixed, images[0])
    np.testing.assert_array_equal(targets, np.eye(CLASSES)[labels[0]])


@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.0, 3.5, 100.0])
def test_quantiles_of_the_beta_distribution(alpha):
    table = beta_quantiles(alpha)
    expected = scipy.stats.beta(alpha, alpha).ppf((np.arange(4096) + 0.5) / 4096)
    np.testing.assert_allclose(table, expected, atol=1e-6)


def test_without_mixing_sections_there_is_no_function():
    assert make_mix((), 0, CLASSES) is None

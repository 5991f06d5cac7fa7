import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import RandomCrop, RandomFlip
from trainer.config.augment import Augmentation
from trainer.config.fields import variants
from trainer.data.augment import AUGMENTATIONS, _uniform, make_augment
from trainer.errors import UserError

IMAGES = np.random.default_rng(0).integers(1, 256, (64, 8, 6, 3), np.uint8)
POSITIONS = tf.range(64, dtype=tf.int64)


def augmented(*sections, seed=0, images=IMAGES, positions=POSITIONS):
    augment = make_augment(sections, seed, images.shape[1:])
    return augment(tf.constant(images), positions).numpy()


def test_every_kind_of_the_configuration_has_an_augmentation():
    assert set(AUGMENTATIONS) == set(variants(Augmentation))


def test_a_crop_is_a_window_of_the_padded_image():
    found = augmented(RandomCrop(padding=2))
    padded = np.pad(IMAGES, [(0, 0), (2, 2), (2, 2), (0, 0)])
    places = set()
    for image, source in zip(found, padded, strict=True):
        matches = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if np.array_equal(image, source[top : top + 8, left : left + 6])
        ]
        assert len(matches) == 1
        places |= set(matches)
    # 64 draws from 25 windows.
    assert len(places) > 15


def test_a_flip_mirrors_the_given_share():
    found = augmented(RandomFlip(probability=0.25), images=np.tile(IMAGES, (16, 1, 1, 1)),
                      positions=tf.range(1024, dtype=tf.int64))  # fmt: skip
    sources = np.tile(IMAGES, (16, 1, 1, 1))
    flipped = (found == sources[:, :, ::-1]).all(axis=(1, 2, 3))
    kept = (found == sources).all(axis=(1, 2, 3))
    assert (flipped ^ kept).all()
    assert abs(flipped.mean() - 0.25) < 0.05


def test_an_image_depends_on_its_position_only():
    sections = (RandomCrop(padding=2), RandomFlip())
    whole = augmented(*sections)
    for part in (slice(0, 10), slice(10, 64)):
        found = augmented(*sections, images=IMAGES[part], positions=POSITIONS[part])
        np.testing.assert_array_equal(found, whole[part])
    assert (augmented(*sections, seed=1) != whole).any()
    assert (augmented(*sections, positions=POSITIONS + 64) != whole).any()


def test_draws_are_uniform_and_independent():
    size = 20_000
    positions = tf.range(size, dtype=tf.int64)
    draws = [
        _uniform(seed, positions, a, d).numpy() for seed in (0, 1) for a in (0, 1) for d in (0, 1)
    ]
    for values in draws:
        assert values.min() >= 0
        assert values.max() < 1
        counts, _ = np.histogram(values, bins=20, range=(0, 1))
        assert abs(counts / size - 0.05).max() < 0.008
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    assert abs(correlations).max() < 0.03
    assert abs(np.corrcoef(draws[0][1:], draws[0][:-1])[0, 1]) < 0.03


def test_without_augmentations_there_is_no_function():
    assert make_augment((), 0, (8, 8, 1)) is None


def test_tables_are_refused():
    with pytest.raises(UserError, match="augment applies to images only"):
        make_augment((RandomFlip(),), 0, (7,))

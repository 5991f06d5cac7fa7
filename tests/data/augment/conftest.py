import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.data.augment.random import Draws
from trainer.data.pipelines.order import Natural

SIZE = 1000


@pytest.fixture(scope="session")
def random_images():
    """A function: random images uint8 `[B, H, W, C]`."""

    def make(*shape):
        return np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)

    return make


@pytest.fixture(scope="session")
def draws_of():
    """A function: the random numbers of a batch at positions first, first + 1, … of a run."""

    def make(count, seed=0, augmentation=0, first=0):
        positions = tf.range(first, first + count, dtype=tf.int64)
        return Draws(seed, augmentation, Natural(SIZE, seed).select(positions))

    return make

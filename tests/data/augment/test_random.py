import numpy as np

from trainer.compat.keras import tf
from trainer.data.augment.random import Draws
from trainer.data.pipelines.order import Natural


def test_draws_are_uniform_and_independent(draws_of):
    size = 20_000
    draws = [
        draws_of(size, seed, augmentation).uniform(number).numpy()
        for seed in (0, 1)
        for augmentation in (0, 1)
        for number in (0, 1)
    ]
    for values in draws:
        assert values.min() >= 0
        assert values.max() < 1
        counts, _ = np.histogram(values, bins=20, range=(0, 1))
        assert abs(counts / size - 0.05).max() < 0.008
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    assert abs(correlations).max() < 0.03
    assert abs(np.corrcoef(draws[0][1:], draws[0][:-1])[0, 1]) < 0.03


def test_a_draw_is_splitmix64(draws_of):
    def mix(state):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
        return state ^ state >> 31

    expected = [
        (mix((mix((7 << 16) + (2 << 8) + 3) + p) % 2**64) >> 40) / 2**24 for p in range(5, 9)
    ]
    found = draws_of(4, seed=7, augmentation=2, first=5).uniform(3)
    np.testing.assert_array_equal(found, np.float32(expected))


def test_draws_of_an_example_are_the_same_in_every_epoch():
    positions = tf.range(30, dtype=tf.int64)
    draws = Draws(0, 0, Natural(10, 0).select(positions))
    values = draws.uniform_of_example(0).numpy()
    by_example = {}
    for example, value in zip(draws.selection.examples.numpy(), values, strict=True):
        by_example.setdefault(example, set()).add(value)
    assert [len(found) for found in by_example.values()] == [1] * 10
    assert len(set.union(*by_example.values())) == 10
    assert not set(values) & set(draws.uniform(0).numpy())


def test_integers_cover_their_range(draws_of):
    values = draws_of(2000).integers(0, 7).numpy()
    assert set(values) == set(range(7))
    limits = tf.range(1, 2001)
    assert (draws_of(2000).integers(1, limits) < limits).numpy().all()

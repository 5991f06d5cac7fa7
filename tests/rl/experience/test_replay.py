import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trainer.compat.keras import tf
from trainer.config.rl import Prioritized, Uniform
from trainer.rl.experience.n_step import Transition
from trainer.rl.experience.replay import Ring, make_replay, memory_bytes

YES = tf.constant(True)


def row(first, environments=2):
    """One transition of each environment, numbered from `first`."""
    numbers = tf.range(first, first + environments)
    values = tf.cast(numbers, tf.float32)
    observation = tf.stack([values, -values], axis=1)
    return Transition(observation, numbers, values * 2, values * 3, observation + 0.5)


@given(st.integers(0, 3), st.integers(0, 25), st.integers(1, 5))
@settings(deadline=None, max_examples=25)
def test_the_ring_keeps_the_newest_rows(uncounted, counted, rows):
    counts = [False] * uncounted + [True] * counted
    ring = Ring(capacity=2 * rows + 1, environments=2, observation_shape=(2,),
                observation_dtype=tf.float32)  # fmt: skip
    kept = []
    for number, count in enumerate(counts):
        ring.write(row(2 * number), tf.constant(count))
        if count:
            kept = [*kept, 2 * number, 2 * number + 1][-2 * rows :]
    assert ring.slots == 2 * rows
    assert int(ring.size()) == len(kept)
    if kept:
        found = ring.read(tf.range(ring.size()))
        assert sorted(found.action.numpy().tolist()) == kept
        np.testing.assert_array_equal(found.reward, 2.0 * found.action.numpy())
        np.testing.assert_array_equal(found.discount, 3.0 * found.action.numpy())
        np.testing.assert_array_equal(found.observation[:, 1], -found.action.numpy())
        np.testing.assert_array_equal(found.next_observation, found.observation + 0.5)


def test_pixels_stay_bytes():
    ring = Ring(4, 2, (3, 3, 1), tf.uint8)
    pixels = tf.cast(tf.reshape(tf.range(18), [2, 3, 3, 1]), tf.uint8)
    ring.write(
        Transition(pixels, tf.zeros([2], tf.int32), tf.zeros([2]), tf.zeros([2]), pixels), YES
    )
    np.testing.assert_array_equal(ring.read(tf.constant([0, 1])).observation, pixels)


def filled(config, rows):
    made = make_replay(config, 2, 1, (2,), tf.float32)
    for number in range(rows):
        made.add(row(2 * number), YES)
    return made


def draws(made, number, rounds, progress=0.0):
    samples = [
        made.sample(1, number, tf.constant([7, counter]), tf.constant(progress))
        for counter in range(rounds)
    ]
    return np.concatenate([sample.indices for sample in samples]), samples[0]


def test_uniform_draws_are_uniform_over_what_is_there():
    indices, sample = draws(filled(Uniform(capacity=100, warmup=1), rows=10), 500, 20)
    counts = np.bincount(indices, minlength=20)
    assert len(counts) == 20
    assert stats.chisquare(counts).pvalue > 0.001
    np.testing.assert_array_equal(sample.weights, 1.0)
    np.testing.assert_array_equal(sample.transitions.action, sample.indices)


def prioritized(**options):
    return Prioritized(**{"capacity": 100, "warmup": 1, **options})


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0])
def test_priorities_are_proportional(exponent):
    made = filled(prioritized(priority_exponent=exponent), rows=10)
    errors = np.linspace(0.1, 4.0, 20)
    made.update_priorities(tf.range(20), tf.constant(-errors, tf.float32))
    indices, sample = draws(made, 500, 20, progress=0.5)
    probability = errors**exponent / (errors**exponent).sum()
    counts = np.bincount(indices, minlength=20)
    assert stats.chisquare(counts, probability * len(indices)).pvalue > 0.001
    # Importance weights (N P)^-beta over their largest; beta is half way from 0.4 to 1.
    weights = (20 * probability[sample.indices.numpy()]) ** -0.7
    np.testing.assert_allclose(sample.weights, weights / weights.max(), rtol=1e-4)


def test_each_of_several_batches_is_spread_over_the_whole_ring():
    made = filled(prioritized(priority_exponent=1.0), rows=10)
    errors = np.linspace(0.1, 4.0, 20)
    made.update_priorities(tf.range(20), tf.constant(errors, tf.float32))
    samples = [
        made.sample(4, 50, tf.constant([7, counter]), tf.constant(0.5)) for counter in range(50)
    ]
    indices = np.stack([sample.indices for sample in samples]).reshape(50, 4, 50)
    for batch in range(4):
        counts = np.bincount(indices[:, batch].ravel(), minlength=20)
        assert stats.chisquare(counts, errors / errors.sum() * 2500).pvalue > 0.001
    weights = errors[indices[0]] ** -0.7
    np.testing.assert_allclose(
        np.reshape(samples[0].weights, [4, 50]),
        weights / weights.max(axis=1, keepdims=True),
        rtol=1e-4,
    )


def test_a_new_transition_has_the_largest_priority_so_far():
    made = filled(prioritized(priority_exponent=1.0), rows=2)
    made.update_priorities(tf.range(4), tf.constant([9.0, 1.0, 1.0, 1.0]))
    made.update_priorities(tf.range(1, 4), tf.ones([3]))
    made.add(row(4), YES)
    indices, _ = draws(made, 500, 20)
    counts = np.bincount(indices, minlength=6)
    probability = np.array([9, 1, 1, 1, 9, 9]) / 30
    assert stats.chisquare(counts, probability * len(indices)).pvalue > 0.001


def test_an_overwritten_transition_takes_its_priority_along():
    made = filled(prioritized(capacity=8, priority_exponent=1.0), rows=4)
    made.update_priorities(tf.range(8), tf.constant([1000.0, *[1.0] * 7]))
    made.update_priorities(tf.constant([0]), tf.constant([1.0]))
    for number in range(4, 8):
        made.add(row(2 * number), YES)
        made.update_priorities(tf.range(8), tf.ones([8]))
    indices, _ = draws(made, 400, 20)
    assert stats.chisquare(np.bincount(indices, minlength=8)).pvalue > 0.001


@pytest.mark.parametrize("jit", [False, True])
def test_writing_and_drawing_compile(jit):
    for config in (Uniform(capacity=10, warmup=1), prioritized(capacity=10)):
        made = make_replay(config, 2, 1, (2,), tf.float32)

        @tf.function(jit_compile=jit)
        def turn(first, made=made):
            made.add(row(first), YES)
            sample = made.sample(2, 2, tf.stack([1, first]), tf.constant(0.0))
            made.update_priorities(sample.indices, sample.transitions.reward)
            return sample.transitions.action

        for number in range(8):
            drawn = turn(tf.constant(2 * number)).numpy()
            assert drawn.max() <= 2 * number + 1
            assert drawn.min() >= max(0, 2 * number - 8)


def test_memory_is_known_before_it_is_taken():
    for config in (Uniform(capacity=1000), prioritized(capacity=1024), prioritized(capacity=1032)):
        made = make_replay(config, 8, 1, (5, 3), tf.uint8)
        taken = sum(variable.numpy().nbytes for variable in made.variables)
        # Counters aside.
        assert 0 <= taken - memory_bytes(config, (5, 3), tf.uint8) <= 8

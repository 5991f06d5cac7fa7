import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trainer.compat.keras import tf
from trainer.config import PrioritizedReplay, UniformReplay
from trainer.engine import distribution
from trainer.rl.experience.replay import Sample, make_replay, memory_bytes
from trainer.rl.experience.ring import Ring
from trainer.rl.experience.steps import Steps, Transition
from trainer.rl.specs import Discrete, EnvironmentSpec

SPEC = EnvironmentSpec((2,), tf.float32, Discrete(1000))


def row(first, environments=2):
    """One transition of each environment, numbered from `first`."""
    numbers = tf.range(first, first + environments)
    values = tf.cast(numbers, tf.float32)
    observation = tf.stack([values, -values], axis=1)
    return Transition(observation, numbers, values * 2, values * 3, observation + 0.5)


def rows(first, count):
    """`count` rows, fields `[count, environments, ...]`."""
    every = [row(first + 2 * number) for number in range(count)]
    return Transition(*(tf.stack(fields) for fields in zip(*every, strict=True)))


def steps(first):
    """One step of each environment, which a one-step replay stores as `row(first)`."""
    made = row(first)
    fields = [field[None] for field in made]
    return Steps(*fields[:4], tf.zeros([1, 2], tf.bool), fields[4], ())


def feedback(made, slots, errors):
    slots = tf.cast(slots, tf.int64)
    made.feedback(Sample((), slots, ()), tf.constant(errors, tf.float32))


@given(st.integers(0, 3), st.integers(0, 9), st.integers(3, 6), st.integers(1, 3))
@settings(deadline=None, max_examples=25)
def test_the_ring_keeps_the_newest_rows(invalid, writes, capacity_rows, per_write):
    ring = Ring(2 * capacity_rows + 1, 2, SPEC)
    kept, first = [], 0
    for number in range(writes):
        valid = [number * per_write + k >= invalid for k in range(per_write)]
        ring.write(rows(first, per_write), tf.constant(valid))
        for k in range(per_write):
            if valid[k]:
                kept = [*kept, first + 2 * k, first + 2 * k + 1][-2 * capacity_rows :]
        first += 2 * per_write
    assert ring.slots == 2 * capacity_rows
    assert int(ring.size()) == len(kept)
    if kept:
        found = ring.read(tf.range(ring.size()))
        assert sorted(found.action.numpy().tolist()) == kept
        np.testing.assert_array_equal(found.reward, 2.0 * found.action.numpy())
        np.testing.assert_array_equal(found.discount, 3.0 * found.action.numpy())
        np.testing.assert_array_equal(found.observation[:, 1], -found.action.numpy())
        np.testing.assert_array_equal(found.next_observation, found.observation + 0.5)


def test_pixels_are_stored_as_bytes():
    ring = Ring(4, 2, EnvironmentSpec((3, 3, 1), tf.uint8, Discrete(2)))
    pixels = tf.cast(tf.reshape(tf.range(18), [1, 2, 3, 3, 1]), tf.uint8)
    zeros = tf.zeros([1, 2])
    ring.write(
        Transition(pixels, tf.zeros([1, 2], tf.int32), zeros, zeros, pixels), tf.constant([True])
    )
    np.testing.assert_array_equal(ring.read(tf.constant([0, 1])).observation, pixels[0])


def filled(config, rows):
    made = make_replay(config, 1, 2, 1, SPEC, compiles=False)
    for number in range(rows):
        made.add(steps(2 * number))
    return made


def draws(made, number, rounds, progress=0.0):
    samples = [
        made.batches(1, number, tf.constant([7, counter]), tf.constant(progress))
        for counter in range(rounds)
    ]
    return np.concatenate([sample.slots for sample in samples]), samples[0]


def test_uniform_draws_are_uniform_over_what_is_there():
    indices, sample = draws(filled(UniformReplay(capacity=100, min_size=1), rows=10), 500, 20)
    counts = np.bincount(indices, minlength=20)
    assert len(counts) == 20
    assert stats.chisquare(counts).pvalue > 0.001
    np.testing.assert_array_equal(sample.weights, 1.0)
    np.testing.assert_array_equal(sample.transitions.action, sample.slots)


def prioritized(**options):
    return PrioritizedReplay(**{"capacity": 100, "min_size": 1, **options})


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0])
def test_priorities_are_proportional(exponent):
    made = filled(prioritized(priority_exponent=exponent), rows=10)
    errors = np.linspace(0.1, 4.0, 20)
    feedback(made, range(20), -errors)
    indices, sample = draws(made, 500, 20, progress=0.5)
    probability = errors**exponent / (errors**exponent).sum()
    counts = np.bincount(indices, minlength=20)
    assert stats.chisquare(counts, probability * len(indices)).pvalue > 0.001
    # Importance weights (N P)^-beta; beta is half way from 0.4 to 1.
    weights = (20 * probability[sample.slots.numpy()]) ** -0.7
    np.testing.assert_allclose(sample.weights, weights, rtol=1e-4)


def test_each_of_several_batches_is_spread_over_the_whole_ring():
    made = filled(prioritized(priority_exponent=1.0), rows=10)
    errors = np.linspace(0.1, 4.0, 20)
    feedback(made, range(20), errors)
    samples = [
        made.batches(4, 50, tf.constant([7, counter]), tf.constant(0.5)) for counter in range(50)
    ]
    indices = np.stack([sample.slots for sample in samples]).reshape(50, 4, 50)
    for batch in range(4):
        counts = np.bincount(indices[:, batch].ravel(), minlength=20)
        assert stats.chisquare(counts, errors / errors.sum() * 2500).pvalue > 0.001
    weights = (20 * errors[indices[0]] / errors.sum()) ** -0.7
    np.testing.assert_allclose(np.reshape(samples[0].weights, [4, 50]), weights, rtol=1e-4)


@pytest.mark.parametrize(
    "config", [UniformReplay(capacity=8, min_size=1), prioritized(capacity=8)], ids=lambda c: c.kind
)
def test_a_cleared_replay_is_like_a_new_one(config):
    made, new = filled(config, rows=7), make_replay(config, 1, 2, 1, SPEC, compiles=False)
    feedback(made, range(8), [np.nan, *range(7)])
    made.clear()
    assert int(made.size()) == int(made.written()) == 0
    for number in range(3):
        made.add(steps(2 * number))
        new.add(steps(2 * number))
    for one, other in zip(draws(made, 50, 2), draws(new, 50, 2), strict=True):
        for found, expected in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_a_new_transition_has_the_largest_priority_so_far():
    made = filled(prioritized(priority_exponent=1.0), rows=2)
    feedback(made, range(4), [9.0, 1.0, 1.0, 1.0])
    feedback(made, range(1, 4), [1.0] * 3)
    made.add(steps(4))
    indices, _ = draws(made, 500, 20)
    counts = np.bincount(indices, minlength=6)
    probability = np.array([9, 1, 1, 1, 9, 9]) / 30
    assert stats.chisquare(counts, probability * len(indices)).pvalue > 0.001


def test_an_overwritten_transition_takes_its_priority_along():
    made = filled(prioritized(capacity=8, priority_exponent=1.0), rows=4)
    feedback(made, range(8), [1000.0, *[1.0] * 7])
    feedback(made, [0], [1.0])
    for number in range(4, 8):
        made.add(steps(2 * number))
        feedback(made, range(8), [1.0] * 8)
    indices, _ = draws(made, 400, 20)
    assert stats.chisquare(np.bincount(indices, minlength=8)).pvalue > 0.001


@pytest.mark.parametrize("jit", [False, True] if distribution.xla_compiles_for_cpus() else [False])
def test_writing_and_drawing_compile(jit):
    for config in (UniformReplay(capacity=10, min_size=1), prioritized(capacity=10)):
        made = make_replay(config, 1, 2, 1, SPEC, compiles=False)

        @tf.function(jit_compile=jit)
        def turn(first, made=made):
            made.add(steps(first))
            sample = made.batches(2, 2, tf.stack([1, first]), tf.constant(0.0))
            made.feedback(sample, sample.transitions.reward)
            return sample.transitions.action

        for number in range(8):
            drawn = turn(tf.constant(2 * number)).numpy()
            assert drawn.max() <= 2 * number + 1
            assert drawn.min() >= max(0, 2 * number - 8)


def test_invalid_rows_are_never_drawn():
    for config in (UniformReplay(capacity=100, min_size=1), prioritized()):
        made = make_replay(config, 3, 2, 1, SPEC, compiles=False)
        for number in range(6):
            made.add(steps(2 * number))
        assert int(made.size()) == 8
        drawn, sample = draws(made, 100, 10)
        assert set(drawn.tolist()) == set(range(8))
        assert sample.transitions.action.numpy().max() < 8


def test_memory_is_known_before_it_is_allocated():
    spec = EnvironmentSpec((5, 3), tf.uint8, Discrete(2))
    for config in (
        UniformReplay(capacity=1000),
        prioritized(capacity=1000),
        prioritized(capacity=1032),
    ):
        made = make_replay(config, 1, 8, 1, spec, compiles=False)
        taken = sum(variable.numpy().nbytes for variable in made.variables)
        # Counters and the extra row aside.
        assert 0 <= taken - memory_bytes(config, spec) <= 8 * (2 * 15 + 16) + 32

"""n-step transitions against their definition, in pieces of any length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.compat.keras import tf
from trainer.engine import distribution
from trainer.rl.experience.n_step import NStep
from trainer.rl.experience.steps import Steps
from trainer.rl.specs import Discrete, EnvironmentSpec

SPEC = EnvironmentSpec((), tf.float32, Discrete(100))


def play(rewards, terminated, truncated, discount, n, piece=1):
    """The n-step transitions of one environment, in order; observations are step numbers."""
    n_step = NStep(n, 1, SPEC, compiles=False)
    result = []
    for first in range(0, len(rewards), piece):
        times = np.arange(first, min(first + piece, len(rewards)))
        column = times.astype(np.float32)[:, None]
        over = np.array(terminated, bool)[times]
        steps = Steps(
            observation=tf.constant(column),
            action=tf.constant(times[:, None], tf.int32),
            reward=tf.constant(np.array(rewards, np.float32)[times][:, None]),
            discount=tf.constant(np.where(over, 0.0, discount)[:, None], tf.float32),
            ended=tf.constant((over | np.array(truncated, bool)[times])[:, None]),
            next_observation=tf.constant(column + 0.5),
            extras=(),
        )
        transitions, valid = n_step(steps)
        for k in np.flatnonzero(valid):
            result.append([float(field[k, 0]) for field in transitions])
    return result


def reference(rewards, terminated, truncated, discount, n):
    """The definition, step by step."""
    result = []
    for start in range(len(rewards) - n + 1):
        total, factor, last = 0.0, 1.0, start
        for t in range(start, start + n):
            total += factor * rewards[t]
            factor *= 0.0 if terminated[t] else discount
            last = t
            if terminated[t] or truncated[t]:
                break
        result.append([start, start, total, factor, last + 0.5])
    return result


episodes = st.integers(6, 14).flatmap(
    lambda length: st.tuples(
        st.lists(st.floats(-2, 2, width=32), min_size=length, max_size=length),
        st.lists(st.booleans(), min_size=length, max_size=length),
        st.lists(st.booleans(), min_size=length, max_size=length),
    )
)


@given(episodes, st.sampled_from([0.0, 0.9, 1.0]), st.integers(1, 5), st.integers(1, 6))
@settings(deadline=None, max_examples=40)
def test_n_step_transitions_equal_their_definition(steps, discount, n, piece):
    np.testing.assert_allclose(
        play(*steps, discount, n, piece), reference(*steps, discount, n), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("terminated", "truncated", "expected"),
    [
        # reward, discount, next observation of the last step
        ([0, 0, 0], [0, 0, 0], (1 + 0.5 * 2 + 0.25 * 4, 0.125, 2.5)),
        ([0, 1, 0], [0, 0, 0], (1 + 0.5 * 2, 0.0, 1.5)),
        ([0, 0, 0], [0, 1, 0], (1 + 0.5 * 2, 0.25, 1.5)),
        ([0, 1, 0], [0, 1, 0], (1 + 0.5 * 2, 0.0, 1.5)),
        ([1, 0, 0], [0, 0, 0], (1, 0.0, 0.5)),
    ],
    ids=["no end", "terminated", "truncated", "terminated at the limit", "at once"],
)
def test_sums_stop_at_the_end_of_an_episode(terminated, truncated, expected):
    ((_, _, *found),) = play([1.0, 2.0, 4.0], terminated, truncated, 0.5, 3)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("jit", [False, True] if distribution.xla_compiles_for_cpus() else [False])
def test_compiled_and_uncompiled_agree(jit):
    n_step = NStep(3, 2, EnvironmentSpec((2,), tf.uint8, Discrete(3)), compiles=jit)
    random = np.random.default_rng(0)
    for _ in range(3):
        steps = Steps(
            observation=tf.constant(random.integers(0, 255, (2, 2, 2)), tf.uint8),
            action=tf.constant(random.integers(0, 3, (2, 2)), tf.int32),
            reward=tf.ones([2, 2]),
            discount=tf.fill([2, 2], 0.5),
            ended=tf.zeros([2, 2], tf.bool),
            next_observation=tf.constant(random.integers(0, 255, (2, 2, 2)), tf.uint8),
            extras=(),
        )
        transitions, _ = n_step(steps)
    np.testing.assert_array_equal(transitions.reward, 1.75)
    np.testing.assert_array_equal(transitions.discount, 0.125)
    np.testing.assert_array_equal(transitions.next_observation, steps.next_observation)


def test_end_episodes_acts_as_a_truncation():
    n_step = NStep(3, 1, SPEC, compiles=False)

    def step(number):
        value = tf.constant([[float(number)]])
        return Steps(
            value, tf.constant([[number]]), tf.ones([1, 1]), tf.fill([1, 1], 0.5),
            tf.zeros([1, 1], tf.bool), value + 0.5, (),
        )  # fmt: skip

    for number in range(4):
        n_step(step(number))
    n_step.end_episodes()
    found = [n_step(step(number))[0] for number in (4, 5)]
    # The transitions that start at steps 2 and 3 end with step 3.
    assert [float(t.reward[0, 0]) for t in found] == [1.5, 1.0]
    assert [float(t.discount[0, 0]) for t in found] == [0.25, 0.5]
    assert [float(t.next_observation[0, 0]) for t in found] == [3.5, 3.5]

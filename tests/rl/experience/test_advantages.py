"""Advantages and returns against loops over single steps."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.compat.keras import tf
from trainer.rl.experience.advantages import (
    generalized_advantages,
    has_known_return,
    running_returns,
)

GAMMA = 0.9


def rollout(seed, steps, envs):
    """Random steps, of which some end by termination and some by truncation."""
    random = np.random.default_rng(seed)
    terminated = random.random((steps, envs)) < 0.2
    ended = terminated | (random.random((steps, envs)) < 0.2)
    reward, v_tm1, v_t = random.normal(size=(3, steps, envs)).astype(np.float32)
    return reward, terminated, ended, v_tm1, v_t


def expected_advantage(reward, terminated, ended, v_tm1, v_t, t, gae_lambda):
    """Σ (γλ)^l δ up to the end of the episode or of the rollout, of one environment."""
    total, factor = 0.0, 1.0
    for k in range(t, len(reward)):
        delta = reward[k] + GAMMA * v_t[k] * (not terminated[k]) - v_tm1[k]
        total += factor * delta
        factor *= GAMMA * gae_lambda
        if ended[k]:
            break
    return total


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 9), st.integers(1, 3), st.sampled_from([0.0, 0.7, 1.0]))
def test_advantages_equal_their_sums(seed, steps, envs, gae_lambda):
    reward, terminated, ended, v_tm1, v_t = rollout(seed, steps, envs)
    discount = GAMMA * ~terminated
    found = generalized_advantages(
        tf.constant(reward), tf.constant(discount, tf.float32), tf.constant(ended),
        tf.constant(v_tm1), tf.constant(v_t), gae_lambda,
    )  # fmt: skip
    columns = zip(*(each.T for each in (reward, terminated, ended, v_tm1, v_t)), strict=True)
    expected = [
        [expected_advantage(*column, t, gae_lambda) for t in range(steps)] for column in columns
    ]
    np.testing.assert_allclose(found, np.transpose(expected), rtol=1e-4, atol=1e-5)


def test_advantages_equal_those_of_tf_agents():
    """Whose function knows no truncation, and takes one value per observation."""
    from tf_agents.utils.value_ops import generalized_advantage_estimation

    reward, terminated, _, values, _ = rollout(0, 12, 3)
    final = np.full(3, 0.3, np.float32)
    discount = tf.constant(GAMMA * ~terminated, tf.float32)
    v_t = np.concatenate([values[1:], final[None]])
    found = generalized_advantages(
        tf.constant(reward), discount, tf.constant(terminated), tf.constant(values), v_t, 0.8
    )
    expected = generalized_advantage_estimation(values, final, discount, reward, td_lambda=0.8)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_truncated_episode_bootstraps_and_a_terminated_one_does_not():
    one = tf.ones([1, 1])
    ended = tf.constant([[True]])
    arguments = {"v_tm1": 2 * one, "v_t": 10 * one, "gae_lambda": 0.95}
    truncated = generalized_advantages(one, GAMMA * one, ended, **arguments)
    terminated = generalized_advantages(one, 0 * one, ended, **arguments)
    np.testing.assert_allclose([truncated, terminated], [[[1 + 9 - 2]], [[1 - 2]]])


def test_a_return_is_known_where_the_episode_ends_within_the_rollout():
    ended = tf.constant([[False, False], [True, False], [False, True], [False, False]])
    known = [[True, True], [True, True], [False, True], [False, False]]
    np.testing.assert_array_equal(has_known_return(ended), known)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 9))
def test_running_returns_start_again_with_each_episode(seed, steps):
    reward, _, ended, _, _ = rollout(seed, steps, 2)
    totals, after = running_returns(
        tf.constant(reward), tf.constant(ended), tf.constant([0.0, 5.0]), GAMMA
    )
    running = np.array([0.0, 5.0])
    for t in range(steps):
        running = reward[t] + GAMMA * running
        np.testing.assert_allclose(totals[t], running, rtol=1e-4, atol=1e-5)
        running = np.where(ended[t], 0.0, running)
    np.testing.assert_allclose(after, running, rtol=1e-4, atol=1e-5)

"""Each classic environment against Gymnasium's, over 100,000 random steps."""

import gymnasium
import numpy as np
import pytest

from trainer.backend import tf
from trainer.config import rl as config_rl
from trainer.rl.envs import cart_pole, mountain_car, registry
from trainer.rl.envs.vector import VectorEnvironment

BATCH, STEPS = 100, 1000


def cart_pole_margin(state: np.ndarray) -> float:
    x, _, angle, _ = np.abs(state)
    return min(abs(x - cart_pole.MAX_POSITION), abs(angle - cart_pole.MAX_ANGLE))


def acrobot_margin(state: np.ndarray) -> float:
    return abs(-np.cos(state[0]) - np.cos(state[0] + state[1]) - 1.0)


def mountain_car_margin(state: np.ndarray) -> float:
    return abs(state[0] - mountain_car.GOAL_POSITION)


MARGINS = {
    "CartPole-v0": cart_pole_margin,
    "CartPole-v1": cart_pole_margin,
    "Acrobot-v1": acrobot_margin,
    "MountainCar-v0": mountain_car_margin,
}
# Velocities of Acrobot reach 28 rad/s and enter squared: float32 has 1e-5 of that left.
TOLERANCE = {"Acrobot-v1": 1e-4}


def make_pair(name: str) -> tuple[VectorEnvironment, list[gymnasium.Env]]:
    ours = registry.make(config_rl.Environment(name=name))
    theirs = [gymnasium.make(name, disable_env_checker=True) for _ in range(BATCH)]
    for environment in theirs:
        environment.reset()
    return ours, theirs


def keep_alive(name: str, state: np.ndarray, step: int) -> np.ndarray:
    """Actions: random, or such that the time limit is met too."""
    action = np.random.default_rng(step).integers(0, 2 if "Cart" in name else 3, BATCH)
    if "CartPole" in name:
        # A third of the poles are balanced: random ones fall within 30 steps.
        balanced = (state[:, 2] + 0.3 * state[:, 3] + 0.02 * state[:, 0] > 0).astype(int)
        action[::3] = balanced[::3]
    if "MountainCar" in name:
        # A third of the cars swing up; random ones never see the goal.
        action[::3] = np.where(state[::3, 1] >= 0, 2, 0)
    return action.astype(np.int32)


@pytest.mark.parametrize("name", sorted(MARGINS))
def test_steps_as_gymnasium_does(name):
    ours, theirs = make_pair(name)
    step = tf.function(ours.step, jit_compile=True)
    carry = ours.initial(tf.constant([1, 2]), BATCH)
    tolerance = TOLERANCE.get(name, 2e-6)
    terminations = truncations = 0
    for index in range(STEPS):
        state = carry.state.numpy()
        action = keep_alive(name, state, index)
        carry, output = step(carry, tf.constant(action), tf.constant([index, 0]))
        output = tf.nest.map_structure(lambda value: value.numpy(), output)
        for i, environment in enumerate(theirs):
            # Ours is set before each step, so that roundings do not add up.
            environment.unwrapped.state = state[i].astype(np.float64)
            observation, reward, terminated, truncated, _ = environment.step(action[i])
            np.testing.assert_allclose(
                output.next_observation[i], observation, rtol=1e-5, atol=tolerance
            )
            assert output.truncated[i] == truncated
            if output.terminated[i] != terminated:
                assert MARGINS[name](np.array(environment.unwrapped.state)) < 1e-5
            else:
                assert output.reward[i] == reward
            if output.terminated[i] or output.truncated[i]:
                environment.reset()
            terminations += terminated
            truncations += truncated
    assert terminations > 20
    assert truncations > 20


@pytest.mark.parametrize("name", sorted(MARGINS))
def test_starts_as_gymnasium_does(name):
    ours, theirs = make_pair(name)
    state = ours.initial(tf.constant([3, 4]), 2000).state.numpy()
    expected = np.array(
        [environment.unwrapped.reset() and environment.unwrapped.state for environment in theirs]
        * 1
    )
    more = []
    for _ in range(19):
        for environment in theirs:
            environment.reset()
            more.append(environment.unwrapped.state)
    expected = np.concatenate([expected, np.array(more)])
    assert state.shape == expected.shape
    # Both uniform: the same mean, spread and support, up to what 2,000 draws tell.
    width = expected.max(0) - expected.min(0)
    np.testing.assert_allclose(state.mean(0), expected.mean(0), atol=0.03 * width.max())
    np.testing.assert_allclose(state.std(0), expected.std(0), atol=0.03 * width.max())
    np.testing.assert_allclose(state.min(0), expected.min(0), atol=0.01 * width.max())
    np.testing.assert_allclose(state.max(0), expected.max(0), atol=0.01 * width.max())
    spread = np.corrcoef(state.T[state.std(0) > 0])
    assert np.abs(np.atleast_2d(spread) - np.eye(len(np.atleast_2d(spread)))).max() < 0.1


@pytest.mark.parametrize(
    ("name", "limit"),
    [("CartPole-v0", 200), ("CartPole-v1", 500), ("Acrobot-v1", 500), ("MountainCar-v0", 200)],
)
def test_time_limits_are_gymnasiums(name, limit):
    assert registry.IN_GRAPH[name]().time_limit == limit
    assert gymnasium.spec(name).max_episode_steps == limit


def test_acrobot_wraps_as_gymnasium_does():
    from gymnasium.envs.classic_control import acrobot as theirs

    from trainer.rl.envs import acrobot

    angles = np.concatenate([np.linspace(-30, 30, 997), [np.pi, -np.pi, 0.0]]).astype(np.float32)
    expected = [theirs.wrap(float(angle), -np.pi, np.pi) for angle in angles]
    np.testing.assert_allclose(acrobot._wrap(tf.constant(angles)), expected, atol=4e-6)

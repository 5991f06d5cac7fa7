"""Each classic environment against Gymnasium's, over 100,000 random steps."""

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control import acrobot as gymnasium_acrobot

from trainer.compat.keras import tf
from trainer.config import Environment as EnvironmentConfig
from trainer.engine import distribution
from trainer.rl.envs import acrobot, cart_pole, mountain_car, registry
from trainer.rl.specs import Box

BATCH, STEPS = 100, 1000
NAMES = ("Acrobot-v1", "CartPole-v0", "CartPole-v1", "MountainCar-v0", "Pendulum-v1")


def margin(name: str, state: np.ndarray) -> np.ndarray:
    """How far each state `[B, S]` lies from where the episode ends."""
    if "CartPole" in name:
        position, _, angle, _ = np.abs(state.T)
        return np.minimum(
            np.abs(position - cart_pole.MAX_POSITION), np.abs(angle - cart_pole.MAX_ANGLE)
        )
    if "Acrobot" in name:
        return np.abs(-np.cos(state[:, 0]) - np.cos(state[:, 0] + state[:, 1]) - 1.0)
    if "Pendulum" in name:
        return np.full(len(state), np.inf)
    return np.abs(state[:, 0] - mountain_car.GOAL_POSITION)


def choose(name: str, state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random actions; every third element is steered, to see ends that chance does not."""
    if "Pendulum" in name:
        # Some beyond the bounds of 2 N m; the steered third drives the rod at full speed.
        torque = rng.uniform(-3, 3, BATCH)
        torque[::3] = 3 * np.sign(state[::3, 1])
        return torque[:, None].astype(np.float32)
    action = rng.integers(0, registry.IN_GRAPH[name]().action_spec.n, BATCH)
    if "CartPole" in name:
        steered = state[:, 2] + 0.3 * state[:, 3] + 0.02 * state[:, 0] > 0
    elif "Acrobot" in name:
        steered = 2 * (state[:, 3] >= 0)
    else:
        steered = 2 * (state[:, 1] >= 0)
    action[::3] = steered[::3]
    return action.astype(np.int32)


def gymnasium_batch(name: str) -> list[gymnasium.Env]:
    return [gymnasium.make(name, disable_env_checker=True) for _ in range(BATCH)]


@pytest.mark.parametrize("name", NAMES)
def test_steps_as_gymnasium_does(name):
    ours = registry.make(EnvironmentConfig(name=name))
    theirs = gymnasium_batch(name)
    for environment in theirs:
        environment.reset()
    step = tf.function(ours.step, jit_compile=distribution.xla_compiles_for_cpus())
    rng = np.random.default_rng(0)
    carry = ours.initial(tf.constant([1, 2]), BATCH)
    terminations = truncations = 0
    for index in range(STEPS):
        state = carry.state.numpy().astype(np.float64)
        action = choose(name, state, rng)
        carry, output = step(carry, tf.constant(action), tf.constant([index, 0]))
        expected = []
        # Theirs is set to our state before each step, so that roundings do not add up.
        for i, environment in enumerate(theirs):
            environment.unwrapped.state = state[i]
            expected.append(environment.step(action[i])[:4])
        observation, reward, terminated, truncated = map(np.array, zip(*expected, strict=True))
        # Acrobot squares velocities of up to 28 rad/s: 1e-7 of that is what float32 leaves.
        np.testing.assert_allclose(
            output.next_observation,
            observation,
            rtol=1e-5,
            atol=1e-4 if "Acrobot" in name else 1e-6,
        )
        np.testing.assert_array_equal(output.truncated, truncated)
        differs = output.terminated.numpy() != terminated
        reached = np.array([environment.unwrapped.state for environment in theirs])
        assert (margin(name, reached)[differs] < 1e-5).all()
        np.testing.assert_allclose(
            output.reward.numpy()[~differs],
            reward[~differs],
            rtol=1e-5 if "Pendulum" in name else 0,
            atol=1e-5 if "Pendulum" in name else 0,
        )
        for i in np.flatnonzero(output.terminated | output.truncated):
            theirs[i].reset()
        terminations += terminated.sum()
        truncations += truncated.sum()
    assert terminations > 20 or "Pendulum" in name
    assert truncations > 20


@pytest.mark.parametrize("name", NAMES)
def test_starts_as_gymnasium_does(name):
    ours = registry.make(EnvironmentConfig(name=name))
    actual = ours.initial(tf.constant([3, 4]), 2000).state.numpy()
    expected = []
    for environment in gymnasium_batch(name) * 20:
        environment.reset()
        expected.append(environment.unwrapped.state)
    expected = np.array(expected)
    # The same mean, spread and ends, as far as 2,000 draws can tell.
    width = np.ptp(expected, axis=0).max()
    for statistic, tolerance in ((np.mean, 0.05), (np.std, 0.05), (np.min, 0.01), (np.max, 0.01)):
        np.testing.assert_allclose(
            statistic(actual, axis=0), statistic(expected, axis=0), atol=tolerance * width
        )
    correlation = np.atleast_2d(np.corrcoef(actual[:, actual.std(0) > 0].T))
    np.testing.assert_allclose(correlation, np.eye(len(correlation)), atol=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_time_limit_is_gymnasiums(name):
    assert registry.IN_GRAPH[name]().time_limit == gymnasium.spec(name).max_episode_steps


def test_acrobot_wraps_as_gymnasium_does():
    angles = np.concatenate([np.linspace(-30, 30, 997), [0.0, 3.1415925, -3.1415925]])
    expected = [gymnasium_acrobot.wrap(angle, -np.pi, np.pi) for angle in angles]
    actual = acrobot._wrap(tf.constant(angles, tf.float32))
    np.testing.assert_allclose(actual, expected, atol=4e-6)


@pytest.mark.parametrize("name", [*NAMES, "Catch-v0"])
def test_draws_what_moves(name):
    ours = registry.make(EnvironmentConfig(name=name))
    carry = ours.initial(tf.constant([5, 6]), 2)
    frames = [ours.render(carry)]
    action = tf.zeros([2, 1]) if isinstance(ours.spec.action, Box) else tf.constant([0, 0])
    for index in range(12):
        carry, _ = ours.step(carry, action, tf.constant([index, 0]))
        frames.append(ours.render(carry))
    frames = np.array(frames)
    assert frames.dtype == np.uint8
    assert frames.shape[:2] == (13, 2)
    assert frames.shape[-1] == 3
    assert 120 <= frames.shape[3] <= 480
    assert (frames[0] != frames[-1]).any(axis=(1, 2, 3)).all()

"""Frame stacking and grey scale, on both kinds of environment."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import Environment as EnvironmentConfig
from trainer.errors import UserError
from trainer.rl.envs import registry

CONFIGS = [
    EnvironmentConfig(name="CartPole-v1", time_limit=7),
    EnvironmentConfig(name="CartPole-v1", backend="gymnasium", time_limit=7),
    EnvironmentConfig(name="Catch-v0", time_limit=7),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.name}-{config.backend}")
def test_a_stack_holds_the_last_observations_of_this_episode(config):
    stacked = registry.make(EnvironmentConfig(**{**vars(config), "frame_stack": 3}))
    single = registry.make(config)
    seed = tf.constant([1, 2])
    carry, plain = stacked.initial(seed, 2), single.initial(seed, 2)
    history = [[single.observe(plain)[i].numpy()] * 3 for i in range(2)]
    for index in range(30):
        np.testing.assert_array_equal(
            stacked.observe(carry), [np.concatenate(h[-3:], -1) for h in history]
        )
        action, seed = tf.constant([index % 2, 1]), tf.constant([3, index])
        carry, output = stacked.step(carry, action, seed)
        plain, expected = single.step(plain, action, seed)
        for i in range(2):
            history[i].append(expected.next_observation[i].numpy())
        np.testing.assert_array_equal(
            output.next_observation, [np.concatenate(h[-3:], -1) for h in history]
        )
        for i in np.flatnonzero(expected.terminated | expected.truncated):
            history[i] = [expected.reset_observation[i].numpy()] * 3
        np.testing.assert_array_equal(
            output.reset_observation, [np.concatenate(h[-3:], -1) for h in history]
        )
    assert stacked.spec.observation_shape == (
        *single.spec.observation_shape[:-1],
        3 * single.spec.observation_shape[-1],
    )


@pytest.mark.usefixtures("in_users_folder")
def test_grayscale_is_luminance():
    name = "own_environments:Pixels"
    grey = registry.make(EnvironmentConfig(name=name, grayscale=True, frame_stack=2))
    colour = registry.make(EnvironmentConfig(name=name))
    assert grey.spec.observation_shape == (6, 5, 2)
    assert grey.spec.observation_dtype == tf.uint8
    seed = tf.constant([1, 2])
    plain, carry = colour.initial(seed, 2), grey.initial(seed, 2)
    plain, expected = colour.step(plain, tf.constant([0, 1]), seed)
    carry, output = grey.step(carry, tf.constant([0, 1]), seed)
    luma = expected.next_observation.numpy() @ np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_array_equal(output.next_observation[..., 1], np.rint(luma))
    np.testing.assert_array_equal(grey.observe(carry)[..., 1], np.rint(luma))


@pytest.mark.parametrize("name", ["CartPole-v1", "Catch-v0"])
def test_grayscale_of_anything_but_colour_is_refused(name):
    with pytest.raises(UserError, match=r"pixels of shape \(H, W, 3\).*Received: "):
        registry.make(EnvironmentConfig(name=name, grayscale=True))


@pytest.mark.usefixtures("in_users_folder")
@pytest.mark.parametrize(("height", "width"), [(3, 2), (6, 5), (5, 4), (12, 7)])
def test_resized_pixels_are_means_of_areas(height, width):
    name = "own_environments:Pixels"
    small = registry.make(EnvironmentConfig(name=name, resize=(height, width)))
    full = registry.make(EnvironmentConfig(name=name))
    assert small.spec.observation_shape == (height, width, 3)
    seed = tf.constant([1, 2])
    pixels = full.observe(full.initial(seed, 2))
    expected = tf.image.resize(pixels, (height, width), "area")
    actual = small.observe(small.initial(seed, 2))
    assert actual.dtype == tf.uint8
    np.testing.assert_allclose(actual, expected, atol=0.5001)


def test_pixels_are_resized_in_the_graph():
    ours = registry.make(EnvironmentConfig(name="Catch-v0", resize=(5, 5), clip_rewards="sign"))
    carry, output = ours.step(
        ours.initial(tf.constant([1, 2]), 2), tf.constant([0, 1]), tf.constant([1, 2])
    )
    np.testing.assert_array_equal(ours.observe(carry), output.reset_observation)


def test_a_size_is_for_pixels():
    with pytest.raises(UserError, match=r"pixels of shape \(H, W, C\).*Received: float32"):
        registry.make(EnvironmentConfig(resize=(4, 4)))
    with pytest.raises(UserError, match="resize must be a height and a width"):
        EnvironmentConfig(resize=(4,))


@pytest.mark.parametrize(("kind", "expected"), [("sign", -1.0), ("clip", -0.5), ("none", -0.5)])
def test_rewards_are_bounded_where_an_agent_learns(kind, expected):
    config = EnvironmentConfig(
        name="tests.rl.envs.games:Pays", arguments=("rewards=[-0.5, 3]",), clip_rewards=kind
    )
    seed, action = tf.constant([1, 2]), tf.constant([0, 1])
    for learns in (True, False):
        ours = registry.make(config, learns)
        _, output = ours.step(ours.initial(seed, 2), action, seed)
        bounded = [expected, 3.0 if kind == "none" else 1.0]
        np.testing.assert_array_equal(output.reward, bounded if learns else [-0.5, 3.0])
        np.testing.assert_array_equal(output.episode_return, [-0.5, 3.0])

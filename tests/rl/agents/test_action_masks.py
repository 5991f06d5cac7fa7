"""Invalid actions are never taken, and targets do not bootstrap from them."""

import dataclasses

import gymnasium
import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import (
    DQN,
    MLP,
    PPO,
    Environment,
    EpsilonGreedy,
    EvaluateRL,
    ReinforcementLearning,
    TrainRL,
    UniformReplay,
)
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.errors import UserError
from trainer.rl.agents import base
from trainer.rl.agents.action_masks import uniform_action
from trainer.rl.envs import registry
from trainer.rl.experience.steps import Transition
from trainer.rl.specs import Discrete, EnvironmentSpec
from trainer.rl.task import ReinforcementLearningTask

SPEC = EnvironmentSpec((5,), tf.float32, Discrete(3), has_action_mask=True)
SEED = tf.constant([1, 2])


class Restricted(gymnasium.Env):
    """Four actions, of which two are valid in each state; an invalid one is an error."""

    observation_space = gymnasium.spaces.Box(0, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        del options
        super().reset(seed=seed)
        self.steps = 0
        return self.look()

    def look(self):
        self.mask = np.zeros(4, np.int8)
        self.mask[self.np_random.choice(4, 2, replace=False)] = 1
        return self.np_random.random(2, np.float32), {"action_mask": self.mask}

    def step(self, action):
        assert self.mask[action], "this action is invalid"
        self.steps += 1
        observation, info = self.look()
        return observation, float(action), False, self.steps >= 10, info


class NoMask(Restricted):
    """It announces none."""

    def look(self):
        observation, _ = super().look()
        return observation, {}


def test_uniform_actions_are_valid_ones():
    valid = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 1]], bool).repeat(3000, axis=0)
    draws = tf.random.stateless_uniform([9000], SEED)
    actions = uniform_action(draws, 3, tf.constant(valid)).numpy().reshape(3, 3000)
    shares = np.array([np.bincount(row, minlength=3) for row in actions]) / 3000
    expected = [[1, 0, 0], [0, 1 / 2, 1 / 2], [1 / 3, 1 / 3, 1 / 3]]
    np.testing.assert_allclose(shares, expected, atol=0.04)
    np.testing.assert_array_equal(np.asarray(expected) == 0, shares == 0)


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("munchausen", [False, True])
def test_targets_do_not_bootstrap_from_invalid_actions(double, munchausen):
    section = DQN(double=double, munchausen=munchausen)
    agent = base.build(ReinforcementLearning(agent=section, model=MLP(units=(8,))), SPEC)
    random = np.random.default_rng(0)
    features = random.normal(size=(2, 16, 2)).astype(np.float32)
    only = random.integers(0, 3, 16)
    masks = np.eye(3, dtype=np.float32)[only]
    observation, following = (tf.concat([each, masks], axis=1) for each in features)
    ones = tf.ones([16])
    batch = Transition(observation, tf.constant(only, tf.int32), ones, 0.9 * ones, following)
    q = agent.target_q_values(following).numpy()
    # With one valid action the policy has no entropy, and the bonus is 0.
    expected = 1 + 0.9 * q[np.arange(16), only]
    np.testing.assert_allclose(agent.td_target(batch, SEED), expected, rtol=1e-4, atol=1e-5)
    values = agent.value(following)
    own = agent.q_values(following).numpy()[np.arange(16), only]
    np.testing.assert_allclose(values, own, rtol=1e-4, atol=1e-5)
    # The mask is no feature: other masks leave the Q values alone.
    other = tf.concat([features[1], np.ones([16, 3], np.float32)], axis=1)
    np.testing.assert_array_equal(agent.target_q_values(other), q)


CONFIG = ReinforcementLearning(
    environment=Environment(name=f"{__name__}:Restricted", action_mask=True),
    model=MLP(units=(8,)),
    agent=DQN(
        exploration=EpsilonGreedy(epsilon_final=0.5, epsilon_duration=3.0),
        replay=UniformReplay(capacity=500, min_size=64),
    ),
    train=TrainRL(steps=1000, num_envs=4, gradient_steps=2, global_batch_size=16),
    evaluate=EvaluateRL(epsilon=0.3, episodes=5),
)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        dataclasses.replace(
            CONFIG,
            agent=PPO(normalize_observations=True),
            train=TrainRL(steps=1000, num_envs=4, collect_steps=20, global_batch_size=40),
        ),
    ],
    ids=["dqn", "ppo"],
)
def test_no_invalid_action_is_taken(config):
    """The environment would raise an error."""
    runtime = distribution.create(
        DistributionConfig(strategy="cpu", virtual_devices=2, precision="float32", jit="off")
    )
    made = ReinforcementLearningTask(config, runtime)
    made.start(0)
    made.advance(100)
    assert made.metrics()["episodes"] > 10
    assert made.evaluator.evaluate_final()["length_mean"] == 10


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        (f"{__name__}:NoMask", {}, "one element per action"),
        ("CartPole-v1", {}, "environment.backend=gymnasium"),
        ("Pendulum-v1", {"backend": "gymnasium"}, "needs a Discrete action space"),
    ],
)
def test_a_mask_that_does_not_fit_is_one_line(name, changes, expected):
    config = Environment(name=name, action_mask=True, **changes)
    with pytest.raises((UserError, tf.errors.OpError), match=expected):
        registry.make(config).initial(SEED, 2)


def test_frames_with_masks_are_not_stacked():
    with pytest.raises(UserError, match="frame_stack must be 1"):
        Environment(action_mask=True, frame_stack=2)

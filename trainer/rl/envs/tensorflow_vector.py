"""Vectorized environments written in TensorFlow."""

import math

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.rl.envs.base import Environment
from trainer.rl.envs.vector import EpisodeCarry, StepOutput, VectorEnvironment, select
from trainer.rl.specs import EnvironmentSpec


class TensorFlowVector(VectorEnvironment):
    """Applies the time limit and restarts episodes inside the graph."""

    in_graph = True

    def __init__(self, name: str, environment: Environment, time_limit: int = 0):
        """Wraps `environment`; `time_limit` (steps) replaces its own unless 0."""
        self.name = name
        self.spec = EnvironmentSpec(
            environment.observation_shape, environment.observation_dtype, environment.action_spec
        )
        self._environment = environment
        self._time_limit = time_limit or environment.time_limit or tf.int32.max

    def initial(self, seed: tf.Tensor, batch_size: int) -> EpisodeCarry:
        """See the base class."""
        return EpisodeCarry(
            state=self._environment.reset(seed, batch_size),
            elapsed=tf.zeros([batch_size], tf.int32),
            episode_return=tf.zeros([batch_size]),
        )

    def observe(self, carry: EpisodeCarry) -> tf.Tensor:
        """See the base class."""
        return self._environment.observe(carry.state)

    def step(
        self, carry: EpisodeCarry, action: tf.Tensor, seed: tf.Tensor
    ) -> tuple[EpisodeCarry, StepOutput]:
        """See the base class."""
        step_seed, reset_seed = tf.unstack(tf.random.split(seed, 2))
        state, reward, terminated = self._environment.step(carry.state, action, step_seed)
        elapsed = carry.elapsed + 1
        episode_return = carry.episode_return + reward
        truncated = elapsed >= self._time_limit
        fresh = self.initial(reset_seed, elapsed.shape[0])
        next_carry = select(
            terminated | truncated, fresh, EpisodeCarry(state, elapsed, episode_return)
        )
        return next_carry, StepOutput(
            next_observation=self._environment.observe(state),
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            reset_observation=self.observe(next_carry),
            episode_return=episode_return,
            episode_length=elapsed,
            success=tf.fill(tf.shape(reward), math.nan),
        )

    def render(self, carry: EpisodeCarry) -> NDArray[np.uint8]:
        """See the base class."""
        return self._environment.render(carry.state)

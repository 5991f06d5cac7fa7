"""Vectorized Gymnasium environments, stepped by one call outside the graph."""

import base64
import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.rl import Environment as EnvironmentConfig
from trainer.errors import UserError
from trainer.rl.envs import gymnasium_registry
from trainer.rl.envs.gymnasium_batch import EnvironmentBatch, StepArrays, arrays_in, memory_size
from trainer.rl.envs.gymnasium_episode import Episode
from trainer.rl.envs.gymnasium_registry import GymnasiumEnv
from trainer.rl.envs.gymnasium_spaces import interface
from trainer.rl.envs.gymnasium_workers import Workers
from trainer.rl.envs.vector import EpisodeCarry, StepOutput, VectorEnvironment
from trainer.rl.specs import EnvironmentSpec


class GymnasiumVector(VectorEnvironment):
    """Steps a list of environments one after another, here or in worker processes.

    It returns the last observation of an episode without a search in infos. Each episode is
    reset with a seed that is a function of the seed of `initial`, the number of the environment
    and the number of the episode, so `step` ignores its seed. A checkpoint holds these numbers and
    the actions since the reset, which repeat the episodes. This object holds the environments:
    each batch (of a replica, of an evaluation) needs its own.
    """

    in_graph = False

    def __init__(self, config: EnvironmentConfig, learns: bool, also_known: Iterable[str] = ()):
        """Creates one environment to read its spaces.

        Args:
          config: the section.
          learns: whether an agent learns in it, so that `life_loss` applies.
          also_known: further names to list in the error for an unknown one.

        Raises:
          UserError: if it cannot be created, or its spaces are not supported.
        """
        self.name = config.name
        self._config = config
        self._counts_lives = learns and config.life_loss
        self._failure: UserError | None = None
        self._create = gymnasium_registry.find(config, also_known)
        self._first: GymnasiumEnv | None = self._create()
        self._interface = interface(config.name, self._first)
        self.spec = EnvironmentSpec(
            self._interface.observation_shape,
            tf.as_dtype(self._interface.observation_dtype),
            self._interface.action,
            has_action_mask=config.action_mask,
        )
        self._size = 0

    def initial(self, seed: tf.Tensor, batch_size: int) -> EpisodeCarry:
        """See the base class; the first call creates `batch_size` environments."""
        observation = tf.numpy_function(
            lambda seed: self._reset(seed, batch_size), [seed], self.spec.observation_dtype
        )
        observation.set_shape([batch_size, *self.spec.observation_shape])
        return EpisodeCarry(
            state=observation,
            elapsed=tf.zeros([batch_size], tf.int32),
            episode_return=tf.zeros([batch_size]),
        )

    def observe(self, carry: EpisodeCarry) -> tf.Tensor:
        """See the base class."""
        return carry.state

    def step(
        self, carry: EpisodeCarry, action: tf.Tensor, seed: tf.Tensor
    ) -> tuple[EpisodeCarry, StepOutput]:
        """See the base class."""
        del seed
        observations = self.spec.observation_dtype
        (next_observation, reset_observation, reward, terminated, truncated, success) = (
            tf.numpy_function(
                self._step,
                [action],
                [observations, observations, tf.float32, tf.bool, tf.bool, tf.float32],
            )
        )
        next_observation.set_shape(carry.state.shape)
        reset_observation.set_shape(carry.state.shape)
        for value in (reward, terminated, truncated, success):
            value.set_shape(carry.elapsed.shape)
        elapsed = carry.elapsed + 1
        episode_return = carry.episode_return + reward
        ended = terminated | truncated
        next_carry = EpisodeCarry(
            state=reset_observation,
            elapsed=tf.where(ended, 0, elapsed),
            episode_return=tf.where(ended, 0.0, episode_return),
        )
        return next_carry, StepOutput(
            next_observation=next_observation,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            reset_observation=reset_observation,
            episode_return=episode_return,
            episode_length=elapsed,
            success=success,
        )

    def render(self, carry: EpisodeCarry) -> NDArray[np.uint8]:
        """See the base class; needs render_mode=rgb_array in `arguments`, and no workers."""
        del carry
        assert isinstance(self._batch, EnvironmentBatch), "workers do not render"
        return self._batch.render()

    def failure(self) -> UserError | None:
        """See the base class."""
        return self._failure

    def state_bytes(self) -> bytes:
        """The seeds and the actions of all current episodes, as JSON."""
        episodes = [episode._asdict() for episode in self._batch.episodes()]
        for episode in episodes:
            if episode["actions"] is not None:
                episode["actions"] = base64.b64encode(episode["actions"]).decode()
        return json.dumps(episodes).encode()

    def restore_bytes(self, state: bytes) -> str:
        """See the base class; repeats the episodes, which takes as long as their steps took."""
        episodes = json.loads(state)
        for episode in episodes:
            if episode["actions"] is not None:
                episode["actions"] = base64.b64decode(episode["actions"])
        return self._batch.repeat([Episode(**episode) for episode in episodes])

    def _reset(self, seed: NDArray[Any], batch_size: int) -> NDArray[Any]:
        with self._recorded():
            if batch_size != self._size:
                self._batch, self._arrays = self._new_batch(batch_size)
                self._size = batch_size
            self._batch.reset("/".join(map(str, seed)), 0)
            return self._arrays.reset_observation.copy()

    def _new_batch(self, size: int) -> tuple[EnvironmentBatch | Workers, StepArrays]:
        if self._config.workers:
            workers = Workers(self._config, self._interface, size, self._counts_lives)
            return workers, workers.arrays
        arrays = arrays_in(bytearray(memory_size(self._interface, size)), self._interface, size)
        environments = gymnasium_registry.create_each(self._create)
        if self._first is not None:
            environments = itertools.chain([self._first], environments)
            self._first = None
        batch = EnvironmentBatch(
            self.name, environments, self._interface, arrays, self._counts_lives
        )
        return batch, arrays

    def _step(self, action: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        with self._recorded():
            self._arrays.action[...] = action
            self._batch.step()
            # TensorFlow may use the memory of what it gets.
            return tuple(array.copy() for array in self._arrays[1:])

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[None]:
        """Records an error, of which TensorFlow passes on only the text with a traceback."""
        try:
            yield
        except UserError as error:
            self._failure = error
            raise

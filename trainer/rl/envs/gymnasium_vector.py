"""Vectorized Gymnasium environments, stepped by one call outside the graph."""

import base64
import contextlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.errors import UserError
from trainer.rl.envs.gymnasium_batch import EnvironmentBatch, StepArrays, array_layout
from trainer.rl.envs.gymnasium_episode import Episode
from trainer.rl.envs.gymnasium_registry import Create
from trainer.rl.envs.gymnasium_spaces import interface
from trainer.rl.envs.vector import EpisodeCarry, StepOutput, VectorEnvironment
from trainer.rl.specs import EnvironmentSpec


class GymnasiumVector(VectorEnvironment):
    """Steps a list of environments one after another.

    It returns the last observation of an episode without a search in infos. Each episode is
    reset with a seed that is a function of the seed of `initial`, the number of the environment
    and the number of the episode, so `step` ignores its seed. A checkpoint holds these numbers and
    the actions since the reset, which repeat the episodes. This object holds the environments:
    each batch (of a replica, of an evaluation) needs its own.
    """

    in_graph = False

    def __init__(self, name: str, create: Create, counts_lives: bool = False):
        """Creates one environment to read its spaces.

        Args:
          name: of the environment.
          create: creates one environment.
          counts_lives: whether an episode ends with each life; the game continues.

        Raises:
          UserError: if it cannot be created, or its spaces are not supported.
        """
        self.name = name
        self._create = create
        self._counts_lives = counts_lives
        self._failure: UserError | None = None
        self._interface = interface(name, create())
        self.spec = EnvironmentSpec(
            self._interface.observation_shape,
            tf.as_dtype(self._interface.observation_dtype),
            self._interface.action,
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
        """See the base class."""
        del carry
        raise UserError(
            "only environments written in TensorFlow can be rendered; "
            f"{self.name!r} is a Gymnasium environment"
        )

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
        episodes = [Episode(**fields) for fields in json.loads(state)]
        return self._batch.repeat(
            [
                episode._replace(actions=base64.b64decode(episode.actions))
                if episode.actions is not None
                else episode
                for episode in episodes
            ]
        )

    def _reset(self, seed: NDArray[Any], batch_size: int) -> NDArray[Any]:
        with self._recorded():
            if batch_size != self._size:
                layout = array_layout(self._interface, batch_size)
                self._arrays = StepArrays(*(np.empty(*each) for each in layout))
                self._batch = EnvironmentBatch(
                    self.name, self._create, self._interface, self._arrays, self._counts_lives
                )
                self._size = batch_size
            self._batch.reset("/".join(map(str, seed)), 0)
            return self._arrays.reset_observation.copy()

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

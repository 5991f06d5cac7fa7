"""The interface of vectorized environments, whose episodes restart automatically."""

import abc
import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.errors import UserError
from trainer.rl.specs import EnvironmentSpec

# A nest of tensors with leading axis B.
Carry = Any


class EpisodeCarry(NamedTuple):
    """The state of every episode.

    Attributes:
      state: the environment's state, a nest of `[B, ...]`; the observation, for an environment
        that keeps its state in Python.
      elapsed: `[B]` int32, steps taken in the episode.
      episode_return: `[B]` float32, undiscounted sum of its rewards so far.
    """

    state: Any
    elapsed: tf.Tensor
    episode_return: tf.Tensor


class StepOutput(NamedTuple):
    """One step of every element.

    Attributes:
      next_observation: `[B, ...]`, what the action led to, before any reset; includes the
        last observation of an episode.
      reward: `[B]` float32.
      terminated: `[B]` bool, the episode reached a terminal state.
      truncated: `[B]` bool, the episode was cut off. At the time limit it is set even if the
        episode also terminated, as in Gymnasium's TimeLimit.
      reset_observation: `[B, ...]`, what the agent acts on next: `next_observation`, or
        the first observation of a new episode if this one has ended.
      episode_return: `[B]` float32, the undiscounted return so far; the final return of an
        episode that has ended.
      episode_length: `[B]` int32, steps so far; the length of an episode that has ended.
      success: `[B]` float32, 1 or 0 where an episode ended and the environment tells whether it
        succeeded, else NaN.
    """

    next_observation: tf.Tensor
    reward: tf.Tensor
    terminated: tf.Tensor
    truncated: tf.Tensor
    reset_observation: tf.Tensor
    episode_return: tf.Tensor
    episode_length: tf.Tensor
    success: tf.Tensor


class VectorEnvironment(abc.ABC):
    """A batch of environments of one kind.

    The carry is the whole state between two steps and is saved in checkpoints. State that a
    batch keeps in Python is saved through `state_bytes`.

    Attributes:
      name: name given by the user.
      spec: observations and actions.
      in_graph: whether `initial`, `observe` and `step` compile under XLA.
    """

    name: str
    spec: EnvironmentSpec
    in_graph: bool

    @abc.abstractmethod
    def initial(self, seed: tf.Tensor, batch_size: int) -> Carry:
        """Starts `batch_size` episodes; `seed` is an integer tensor `[2]`."""

    @abc.abstractmethod
    def observe(self, carry: Carry) -> tf.Tensor:
        """The observation that the agent acts on: `[B, *spec.observation_shape]`."""

    @abc.abstractmethod
    def step(self, carry: Carry, action: tf.Tensor, seed: tf.Tensor) -> tuple[Carry, StepOutput]:
        """Takes `action` `[B, ...]`; an element whose episode ends starts a new one."""

    @abc.abstractmethod
    def render(self, carry: Carry) -> NDArray[np.uint8]:
        """Pictures of the batch, `[B, H, W, 3]` uint8.

        Raises:
          UserError: if the environment cannot be drawn.
        """

    def failure(self) -> UserError | None:
        """The error of an environment, of which TensorFlow reports only that one occurred."""
        return None

    def state_bytes(self) -> bytes:
        """The Python state of the batch; empty if there is none."""
        return b""

    def restore_bytes(self, state: bytes) -> str:
        """Restores `state_bytes`, after `initial` created the batch.

        Returns:
          Why the state could not be restored, so that `initial` must start new episodes; empty if
          it was restored.
        """
        del state
        return ""


@contextlib.contextmanager
def failures_as_user_errors(environment: VectorEnvironment) -> Iterator[None]:
    """Raises the error of an environment instead of TensorFlow's error about it."""
    try:
        yield
    except tf.errors.OpError as error:
        failure = environment.failure()
        if failure is None:
            raise
        raise failure from error


def select(condition: tf.Tensor, true: Any, false: Any) -> Any:
    """Selects `true` or `false` for each element of the batch; nests of one structure.

    Args:
      condition: `[B]` bool.
      true: a nest of tensors with leading axis B.
      false: a nest of the same structure.
    """

    def choose(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        return tf.where(tf.reshape(condition, [-1] + [1] * (len(a.shape) - 1)), a, b)

    return tf.nest.map_structure(choose, true, false)

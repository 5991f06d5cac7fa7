"""What the collection loop sees: a batch of episodes that start again by themselves."""

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
    """Where every episode stands.

    Attributes:
      state: the environment's own, a nest of `[B, ...]`; the observation of one that keeps
        its state in Python.
      elapsed: `[B]` int32, steps taken in the episode.
      episode_return: `[B]` float32, undiscounted sum of its rewards.
    """

    state: Any
    elapsed: tf.Tensor
    episode_return: tf.Tensor


class StepOutput(NamedTuple):
    """One step of every element.

    Attributes:
      next_observation: `[B, ...]`, what the action led to, before any reset: an episode's
        last observation is here.
      reward: `[B]` float32.
      terminated: `[B]` bool, the episode came to its own end; nothing follows it.
      truncated: `[B]` bool, the episode was cut. At the time limit it is set whether or not
        the episode also terminated, as Gymnasium's TimeLimit does.
      reset_observation: `[B, ...]`, what the agent acts on next: `next_observation`, or
        the first observation of a new episode where this one has ended.
      episode_return: `[B]` float32, the undiscounted return so far; an episode's return
        where it has ended.
      episode_length: `[B]` int32, steps so far; an episode's length where it has ended.
    """

    next_observation: tf.Tensor
    reward: tf.Tensor
    terminated: tf.Tensor
    truncated: tf.Tensor
    reset_observation: tf.Tensor
    episode_return: tf.Tensor
    episode_length: tf.Tensor


class VectorEnvironment(abc.ABC):
    """A batch of environments of one kind.

    The carry is all that lies between two steps, and what a checkpoint holds; what a batch
    keeps in Python beside it goes through `state_bytes`.

    Attributes:
      name: as the user gave it.
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
        """What the agent acts on: `[B, *spec.observation_shape]`."""

    @abc.abstractmethod
    def step(self, carry: Carry, action: tf.Tensor, seed: tf.Tensor) -> tuple[Carry, StepOutput]:
        """Takes `action` `[B, ...]`; elements whose episode ends start a new one."""

    @abc.abstractmethod
    def render(self, carry: Carry) -> NDArray[np.uint8]:
        """Pictures of the batch, `[B, H, W, 3]` uint8.

        Raises:
          UserError: if the environment cannot be drawn.
        """

    def failure(self) -> UserError | None:
        """What an environment did wrong, where TensorFlow reports only that one failed."""
        return None

    def state_bytes(self) -> bytes:
        """What the batch keeps in Python; empty if nothing, or if it cannot be saved."""
        return b""

    def restore_bytes(self, state: bytes) -> bool:
        """Takes back `state_bytes`, after `initial` made the batch.

        Returns:
          False if there was something to save that could not be: the restored carry then
          has no environments behind it, and `initial` must start new episodes.
        """
        del state
        return True


@contextlib.contextmanager
def failures_as_user_errors(environment: VectorEnvironment) -> Iterator[None]:
    """Raises an environment's own failure in place of TensorFlow's account of it."""
    try:
        yield
    except tf.errors.OpError as error:
        failure = environment.failure()
        if failure is None:
            raise
        raise failure from error


def select(condition: tf.Tensor, true: Any, false: Any) -> Any:
    """Element by element of the batch, `true` or `false`: nests of one structure.

    Args:
      condition: `[B]` bool.
      true: a nest of tensors with leading axis B.
      false: likewise.
    """

    def choose(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        return tf.where(tf.reshape(condition, [-1] + [1] * (len(a.shape) - 1)), a, b)

    return tf.nest.map_structure(choose, true, false)

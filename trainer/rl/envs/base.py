"""The interface of environments written in TensorFlow: pure functions of a batch of states."""

import abc
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.rl.specs import ActionSpec

# One tensor or a nest of tensors, float32, each with leading axis B.
State = Any


class Environment(abc.ABC):
    """A Markov decision process with a batch axis and no internal state.

    Every method except `render` compiles under XLA, and all randomness is a function of `seed`.
    The time limit is applied outside, so that a truncation is not mistaken for a termination.

    Attributes:
      observation_shape: of one observation, without the batch axis.
      observation_dtype: float32, or uint8 for pixels.
      action_spec: which actions there are.
      time_limit: steps after which an episode is truncated; 0: never.
    """

    observation_shape: tuple[int, ...]
    observation_dtype: tf.DType = tf.float32
    action_spec: ActionSpec
    time_limit: int = 0

    @abc.abstractmethod
    def reset(self, seed: tf.Tensor, batch_size: int) -> State:
        """First states of `batch_size` episodes; `seed` is an integer tensor `[2]`."""

    @abc.abstractmethod
    def step(
        self, state: State, action: tf.Tensor, seed: tf.Tensor
    ) -> tuple[State, tf.Tensor, tf.Tensor]:
        """Advances every element by one step.

        Args:
          state: the batch's state.
          action: `[B]` int32 of a `Discrete` action space, `[B, A]` float32 of a `Box`.
          seed: `[2]`, for random dynamics.

        Returns:
          The next state, the reward `[B]` float32, and whether the episode terminated,
          `[B]` bool.
        """

    @abc.abstractmethod
    def observe(self, state: State) -> tf.Tensor:
        """The observation of a state: `[B, *observation_shape]`."""

    @abc.abstractmethod
    def render(self, state: State) -> NDArray[np.uint8]:
        """Pictures of a batch of states, `[B, H, W, 3]` uint8; runs outside the graph."""

"""What a collector returns and what an agent learns from."""

from typing import Any, NamedTuple

from trainer.compat.keras import tf


class Steps(NamedTuple):
    """T consecutive steps of B environments; each field is `[T, B, ...]`.

    Attributes:
      observation: what the agent acted on.
      action: int32 or float32.
      reward: float32.
      discount: float32, gamma, or 0 where the episode terminated. A truncation bootstraps.
      ended: bool, whether the episode ended with this step, by termination or truncation.
      next_observation: what the action led to, before any reset.
      extras: what the policy returned beside the action; a nest, `()` if nothing.
    """

    observation: tf.Tensor
    action: tf.Tensor
    reward: tf.Tensor
    discount: tf.Tensor
    ended: tf.Tensor
    next_observation: tf.Tensor
    extras: Any


class Transition(NamedTuple):
    """A batch to learn from: one step, or n steps with their rewards summed.

    The subscripts are those of the literature: the observation at t - 1 leads to t.

    Attributes:
      observation: `[B, ...]`, o_tm1.
      action: `[B]` int32, a_tm1.
      reward: `[B]` float32, r_t + gamma r_tp1 + … over the n steps.
      discount: `[B]` float32, gamma to the number of steps; 0 where the episode terminated.
      next_observation: `[B, ...]`, o_t: what the last of the steps led to, before any reset.
    """

    observation: tf.Tensor
    action: tf.Tensor
    reward: tf.Tensor
    discount: tf.Tensor
    next_observation: tf.Tensor

"""Invalid actions: the mask is the last part of an observation, and they are never taken.

The mask comes from `info["action_mask"]` of a Gymnasium environment with `environment.action_mask`.
It travels with the observation, so that replay and exported policies have it too.
"""

from trainer.compat.keras import tf
from trainer.rl.specs import Discrete, EnvironmentSpec

# Below every Q value and logit. Infinity would make 0 · log 0 undefined.
_LOWEST = -1e9


def valid_actions(observation: tf.Tensor, spec: EnvironmentSpec) -> tf.Tensor | None:
    """Which actions are valid, bool `[B, actions]`; None where all are.

    Args:
      observation: `[B, F + actions]`.
      spec: of the environment.
    """
    if not spec.has_action_mask:
        return None
    assert isinstance(spec.action, Discrete)
    return observation[:, -spec.action.n :] > 0.5


def without_mask(observation: tf.Tensor, spec: EnvironmentSpec) -> tf.Tensor:
    """The observation without its mask, `[B, F]`."""
    if not spec.has_action_mask:
        return observation
    assert isinstance(spec.action, Discrete)
    return observation[:, : -spec.action.n]


def lower_invalid(values: tf.Tensor, observation: tf.Tensor, spec: EnvironmentSpec) -> tf.Tensor:
    """Q values or logits `[B, actions]`, with those of invalid actions below all others."""
    valid = valid_actions(observation, spec)
    return values if valid is None else tf.where(valid, values, _LOWEST)


def uniform_action(draw: tf.Tensor, num_actions: int, valid: tf.Tensor | None = None) -> tf.Tensor:
    """A uniform one of the valid actions, int32 `[B]`.

    Args:
      draw: float32 `[B]`, uniform in [0, 1).
      num_actions: number of actions.
      valid: bool `[B, actions]`; None: all.
    """
    if valid is None:
        # The bound guards against a uniform number that rounds up to 1.
        return tf.minimum(tf.cast(draw * num_actions, tf.int32), num_actions - 1)
    numbers = tf.cumsum(tf.cast(valid, tf.int32), axis=1)
    count = numbers[:, -1]
    chosen = tf.minimum(tf.cast(draw * tf.cast(count, tf.float32), tf.int32), count - 1)
    is_chosen = valid & (numbers == chosen[:, None] + 1)
    return tf.argmax(tf.cast(is_chosen, tf.int32), axis=1, output_type=tf.int32)

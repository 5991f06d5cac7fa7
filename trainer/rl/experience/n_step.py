"""Transitions, and the n-step returns that they may carry."""

from typing import NamedTuple

from trainer.compat.keras import tf


class Transition(NamedTuple):
    """What an agent learns from: one step, or n of them with their rewards summed.

    Attributes:
      observation: `[B, ...]`, o_tm1.
      action: `[B]` int32, a_tm1.
      reward: `[B]` float32, r_t + gamma r_tp1 + … over the steps.
      discount: `[B]` float32, gamma to the number of steps; 0 where the episode came to its
        own end. A truncation bootstraps.
      next_observation: `[B, ...]`, what the last of the steps led to, before any reset.
    """

    observation: tf.Tensor
    action: tf.Tensor
    reward: tf.Tensor
    discount: tf.Tensor
    next_observation: tf.Tensor


class Window(NamedTuple):
    """The last n steps of every environment, oldest first: each field is `[n, B, ...]`.

    Attributes:
      step: the one-step transitions.
      ended: bool, whether the episode ended with the step, either way.
    """

    step: Transition
    ended: tf.Tensor


def empty_window(
    n: int, batch_size: int, observation_shape: tuple[int, ...], dtype: tf.DType
) -> Window:
    """A window with nothing in it yet."""
    observations = tf.zeros([n, batch_size, *observation_shape], dtype)
    zeros = tf.zeros([n, batch_size])
    step = Transition(observations, tf.zeros([n, batch_size], tf.int32), zeros, zeros, observations)
    return Window(step, tf.zeros([n, batch_size], tf.bool))


def slide(window: Window, newest: Window) -> Window:
    """The window without its oldest step and with `newest`, fields `[B, ...]`, at its end."""
    return tf.nest.map_structure(
        lambda old, new: tf.concat([old[1:], new[None]], axis=0), window, newest
    )


def n_step(window: Window) -> Transition:
    """The n-step transition that begins with the window's oldest step.

    The sum stops where an episode ends, by termination or truncation, so that it never
    crosses into the next one. Each step of an environment begins exactly one transition,
    n - 1 steps after it was taken: the shapes are static and nothing has to be flushed.

    Source: Sutton and Barto (2018), equation 7.1; Hessel et al. (2018) for its use in DQN.

    Returns:
      Fields `[B, ...]`; the discount is gamma to the number of steps summed.
    """
    steps, ended = window
    last = tf.nest.map_structure(lambda field: field[-1], steps)
    reward, discount, following = last.reward, last.discount, last.next_observation
    for k in reversed(range(ended.shape[0] - 1)):
        # A one-step discount is gamma, or 0 where the episode ended for good.
        over = ended[k]
        reward = steps.reward[k] + tf.where(over, 0.0, steps.discount[k] * reward)
        discount = steps.discount[k] * tf.where(over, 1.0, discount)
        rank = len(following.shape) - 1
        following = tf.where(
            tf.reshape(over, [-1] + [1] * rank), steps.next_observation[k], following
        )
    return Transition(steps.observation[0], steps.action[0], reward, discount, following)

"""Epsilon-greedy exploration with repeated actions."""

from typing import NamedTuple

from trainer.compat.keras import tf
from trainer.config.agents import EpsilonGreedy
from trainer.rl.agents.action_masks import uniform_action

# In place of an action: the last one was greedy.
NO_ACTION = -1


class ExplorationCarry(NamedTuple):
    """What exploration remembers between two steps.

    Attributes:
      held: int32 `[B]`, the random action that is being repeated, or NO_ACTION.
      steps: scalar int64, environment steps so far, over all environments.
    """

    held: tf.Tensor
    steps: tf.Tensor


def epsilon(config: EpsilonGreedy, steps: tf.Tensor) -> tf.Tensor:
    """Probability of a random action after `steps` environment steps: linear decay."""
    fraction = tf.minimum(tf.cast(steps, tf.float32) / config.epsilon_decay_steps, 1.0)
    return config.epsilon_initial + fraction * (config.epsilon_final - config.epsilon_initial)


def explore(
    greedy: tf.Tensor,
    held: tf.Tensor,
    epsilon: tf.Tensor,
    mean_duration: float,
    num_actions: int,
    seed: tf.Tensor,
    valid: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Epsilon-greedy actions, in which a random action is repeated for a while.

    Repetition lets a weak force accumulate: MountainCar does not leave the valley if the
    action changes at every step. Durations are geometric. Random actions start so much more
    rarely that their share stays epsilon.

    Source: Dabney et al. (2021), temporally extended epsilon-greedy.

    Args:
      greedy: int32 `[B]`, the actions of largest Q.
      held: int32 `[B]`, the random action of the last step, or NO_ACTION.
      epsilon: share of random actions.
      mean_duration: of a random action, steps; 1 draws a new one at each step.
      num_actions: number of actions.
      seed: int32 `[2]`.
      valid: bool `[B, actions]`, which actions may be taken; None: all.

    Returns:
      The actions and the next `held`, both int32 `[B]`.
    """
    continue_probability = 1 - 1 / mean_duration
    draws = tf.random.stateless_uniform([2, greedy.shape[0]], seed)
    holding = held != NO_ACTION
    continues = holding & (draws[0] < continue_probability)
    if valid is not None:
        continues &= tf.gather(valid, tf.maximum(held, 0), axis=1, batch_dims=1)
    # The rest of a draw that did not continue is uniform again.
    fresh = tf.where(holding, (draws[0] - continue_probability) * mean_duration, draws[0])
    begins = fresh < epsilon / (mean_duration - epsilon * (mean_duration - 1))
    random = uniform_action(draws[1], num_actions, valid)
    held = tf.where(continues, held, tf.where(begins, random, NO_ACTION))
    return tf.where(held == NO_ACTION, greedy, held), held

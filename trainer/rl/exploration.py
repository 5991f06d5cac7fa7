"""Random actions among greedy ones."""

from trainer.compat.keras import tf

# In place of an action: the last one was greedy.
NOTHING_HELD = -1


def explore(
    greedy: tf.Tensor,
    held: tf.Tensor,
    epsilon: tf.Tensor,
    mean_duration: float,
    num_actions: int,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Epsilon-greedy actions, where a random one is held for a while.

    Holding on gets a weak force somewhere: a car that changes its mind at every step never
    leaves the valley. Durations are geometric; their mean leaves the share of random
    actions at epsilon, because they are begun as much more seldom.

    Source: Dabney et al. (2021), temporally extended epsilon-greedy.

    Args:
      greedy: `[B]` int32, the actions of largest Q.
      held: `[B]` int32, each element's random action of the last step, or NOTHING_HELD.
      epsilon: share of random actions.
      mean_duration: of a random action, steps; 1 draws every step anew.
      num_actions: how many to draw from.
      seed: int32 `[2]`.

    Returns:
      The actions and the next `held`, both `[B]` int32.
    """
    goes_on = 1 - 1 / mean_duration
    draws = tf.random.stateless_uniform([2, greedy.shape[0]], seed)
    holding = held != NOTHING_HELD
    continues = holding & (draws[0] < goes_on)
    # What is left of a draw that did not continue is uniform again.
    fresh = tf.where(holding, (draws[0] - goes_on) * mean_duration, draws[0])
    begins = fresh < epsilon / (mean_duration - epsilon * (mean_duration - 1))
    # Flooring a uniform number keeps to one draw; the bound guards its upper rounding.
    random = tf.minimum(tf.cast(draws[1] * num_actions, tf.int32), num_actions - 1)
    held = tf.where(continues, held, tf.where(begins, random, NOTHING_HELD))
    return tf.where(held == NOTHING_HELD, greedy, held), held

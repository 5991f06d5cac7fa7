"""Returns and advantages of a rollout, with correct ends of episodes.

All arguments are float32 `[T, B]`: T consecutive steps of B environments. `ended` is bool `[T, B]`.
The discount is gamma, or 0 where an episode terminated; a truncation bootstraps.
"""

from trainer.compat.keras import tf

_Pair = tuple[tf.Tensor, tf.Tensor]


def generalized_advantages(
    r_t: tf.Tensor,
    discount_t: tf.Tensor,
    ended: tf.Tensor,
    v_tm1: tf.Tensor,
    v_t: tf.Tensor,
    gae_lambda: float,
) -> tf.Tensor:
    """GAE(λ) (Schulman et al., 2016, equation 16): Σ_l (γλ)^l δ_{t+l}, `[T, B]`.

    δ_t = r_t + γ V(s_t) − V(s_tm1). The sum ends with the episode, whether it was terminated or
    truncated; where the rollout ends first, V of the last observation stands for the rest. With
    λ = 1 it is the return to go minus V(s_tm1).

    Args:
      r_t: rewards.
      discount_t: discounts.
      ended: whether the episode ended with this step.
      v_tm1: values of what the agent acted on.
      v_t: values of what the action led to, before any reset.
      gae_lambda: λ in [0, 1].
    """
    delta_t = r_t + discount_t * v_t - v_tm1
    decay_t = gae_lambda * tf.where(ended, 0.0, discount_t)
    return reverse_linear_recurrence(delta_t, decay_t)


def reverse_linear_recurrence(x: tf.Tensor, decay: tf.Tensor) -> tf.Tensor:
    """y_t = x_t + decay_t · y_{t+1} with y_T = 0, all `[T, B]`."""
    return tf.scan(
        lambda following, now: now[0] + now[1] * following,
        (x, decay),
        initializer=tf.zeros_like(x[0]),
        reverse=True,
    )


def has_known_return(ended: tf.Tensor) -> tf.Tensor:
    """Whether the episode of each step ends within the rollout, bool `[T, B]`."""
    return tf.cumsum(tf.cast(ended, tf.int32), axis=0, reverse=True) > 0


def running_returns(
    r_t: tf.Tensor, ended: tf.Tensor, before: tf.Tensor, discount: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Discounted sums of the rewards so far, which start again with each episode.

    Args:
      r_t: rewards.
      ended: whether the episode ended with this step.
      before: `[B]`, the sum before the rollout; 0 after the end of an episode.
      discount: gamma.

    Returns:
      The sums `[T, B]`, and `[B]`: what the next rollout starts from.
    """

    def add(
        carry: tuple[tf.Tensor, tf.Tensor], now: tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        _, start = carry
        total = now[0] + discount * start
        return total, tf.where(now[1], 0.0, total)

    totals, starts = tf.scan(add, (r_t, ended), initializer=(before, before))
    return totals, starts[-1]

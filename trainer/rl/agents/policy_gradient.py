"""The mathematics of policy gradients: losses as pure functions of tensors.

All arguments are float32 `[B]`, unless stated; so are the results, one loss per example.
"""

from trainer.compat.keras import tf


def policy_gradient_loss(log_pi_a: tf.Tensor, advantage: tf.Tensor) -> tf.Tensor:
    """−log π(a|s) · A, whose gradient is −∇ log π(a|s) · A (Williams, 1992).

    The advantage may be the return to go, or that minus a baseline.
    """
    return -log_pi_a * tf.stop_gradient(advantage)


def clipped_surrogate_loss(
    log_pi_a: tf.Tensor, log_pi_old_a: tf.Tensor, advantage: tf.Tensor, clip_range: float
) -> tf.Tensor:
    """−min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) with ρ = π(a|s) / π_old(a|s).

    Source: Schulman et al. (2017), equation 7.
    """
    ratio = tf.exp(log_pi_a - log_pi_old_a)
    clipped = tf.clip_by_value(ratio, 1.0 - clip_range, 1.0 + clip_range)
    return -tf.minimum(ratio * advantage, clipped * advantage)


def value_loss(v: tf.Tensor, v_old: tf.Tensor, return_: tf.Tensor, clip_range: float) -> tf.Tensor:
    """½ (V(s) − G)²; with clipping the larger of it and that of V_old + clip(V − V_old, ±ε).

    Source of the clipping: the reference implementation of Schulman et al. (2017).

    Args:
      v: V(s).
      v_old: V(s) when the step was taken.
      return_: G, the target.
      clip_range: ε; 0 disables clipping.
    """
    loss = 0.5 * tf.square(v - return_)
    if not clip_range:
        return loss
    v_clipped = v_old + tf.clip_by_value(v - v_old, -clip_range, clip_range)
    return tf.maximum(loss, 0.5 * tf.square(v_clipped - return_))


def approximate_kl(log_pi_a: tf.Tensor, log_pi_old_a: tf.Tensor) -> tf.Tensor:
    """ρ − 1 − log ρ, an estimate of KL(π_old ‖ π) that is never negative (Schulman, 2020)."""
    log_ratio = log_pi_a - log_pi_old_a
    return tf.exp(log_ratio) - 1.0 - log_ratio

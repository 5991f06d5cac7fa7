"""The mathematics of Q-learning: targets and losses as pure functions of tensors.

The subscripts follow the literature: tm1 is the time step before the action's outcome t.
"""

from trainer.compat.keras import tf


def td_target(r_t: tf.Tensor, discount_t: tf.Tensor, q_t: tf.Tensor) -> tf.Tensor:
    """r_t + discount_t · q_t (Sutton and Barto, 2018, equation 6.8); all `[B]` float32.

    With n-step transitions r_t is the sum of n rewards and discount_t is gamma^n. The
    discount is 0 where the episode terminated.
    """
    return r_t + discount_t * q_t


def bootstrap_value(q_t_target: tf.Tensor, q_t_selector: tf.Tensor) -> tf.Tensor:
    """Q_target(s_t, argmax_a Q_selector(s_t, a)), `[B]`.

    With the target network as the selector this is max_a Q_target(s_t, a) (Mnih et al., 2015);
    with the online network it is double DQN (van Hasselt et al., 2016, equation 4).

    Args:
      q_t_target: `[B, actions]`.
      q_t_selector: `[B, actions]`.
    """
    return take_action(q_t_target, tf.argmax(q_t_selector, axis=-1, output_type=tf.int32))


def take_action(q: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    """q[b, action[b]]: `[B]` of `[B, actions]`, or `[B, atoms]` of `[B, actions, atoms]`."""
    return tf.gather(q, action, axis=1, batch_dims=1)


def huber(error: tf.Tensor) -> tf.Tensor:
    """½ e² for |e| ≤ 1, |e| − ½ beyond (Huber, 1964), elementwise."""
    magnitude = tf.abs(error)
    return tf.where(magnitude <= 1.0, 0.5 * tf.square(error), magnitude - 0.5)


def half_squared(error: tf.Tensor) -> tf.Tensor:
    """½ e², elementwise."""
    return 0.5 * tf.square(error)


def project_distribution(
    support: tf.Tensor, probabilities: tf.Tensor, r_t: tf.Tensor, discount_t: tf.Tensor
) -> tf.Tensor:
    """Projects r_t + discount_t · Z onto the support (Bellemare et al., 2017, algorithm 1).

    Args:
      support: `[atoms]`, equally spaced returns z.
      probabilities: `[B, atoms]`, the distribution of Z.
      r_t: `[B]`.
      discount_t: `[B]`.

    Returns:
      `[B, atoms]` probabilities on the same support.
    """
    v_min, v_max = support[0], support[-1]
    delta_z = (v_max - v_min) / (support.shape[0] - 1)
    moved = td_target(r_t[:, None], discount_t[:, None], support[None, :])
    moved = tf.clip_by_value(moved, v_min, v_max)
    # A moved atom divides its mass between its two neighbors, in proportion to nearness.
    nearness = 1 - tf.abs(moved[:, None, :] - support[None, :, None]) / delta_z
    return tf.reduce_sum(tf.maximum(nearness, 0.0) * probabilities[:, None, :], axis=-1)

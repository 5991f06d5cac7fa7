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


def take_action(q: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    """q[b, action[b]]: `[B]` of `[B, actions]`, or `[B, atoms]` of `[B, actions, atoms]`."""
    return tf.gather(q, action, axis=1, batch_dims=1)


def take_greedy(values: tf.Tensor, q_selector: tf.Tensor) -> tf.Tensor:
    """The values at argmax_a q_selector, `[B]` or `[B, atoms]`.

    With Q values of the target network as the selector this is DQN (Mnih et al., 2015); with
    those of the online network it is double DQN (van Hasselt et al., 2016, equation 4).

    Args:
      values: `[B, actions]` or `[B, actions, atoms]`, of the target network.
      q_selector: `[B, actions]`.
    """
    return take_action(values, tf.argmax(q_selector, axis=-1, output_type=tf.int32))


def average(values: tf.Tensor, policy: tf.Tensor) -> tf.Tensor:
    """Σ_a policy_a values_a: `[B]` of `[B, actions]`, `[B, atoms]` of `[B, actions, atoms]`."""
    return tf.einsum("ba,ba...->b...", policy, values)


def soft_policy(q: tf.Tensor, temperature: float) -> tf.Tensor:
    """softmax(q / temperature), `[B, actions]`."""
    return tf.nn.softmax(q / temperature)


def scaled_log_policy(q: tf.Tensor, temperature: float) -> tf.Tensor:
    """Temperature · log softmax(q / temperature), `[B, actions]`."""
    return temperature * tf.nn.log_softmax(q / temperature)


def munchausen_bonus(
    q_tm1: tf.Tensor, action: tf.Tensor, alpha: float, temperature: float, clip: float
) -> tf.Tensor:
    """Alpha · [temperature · log pi(a_tm1 | s_tm1)] clipped to [clip, 0], `[B]`.

    Source: Vieillard et al. (2020), equation 2 and section 4, "clipping".

    Args:
      q_tm1: `[B, actions]`, of the target network.
      action: int32 `[B]`, a_tm1.
      alpha: factor of the bonus.
      temperature: of the policy pi = softmax(q / temperature).
      clip: smallest value before the factor, at most 0.
    """
    log_policy = take_action(scaled_log_policy(q_tm1, temperature), action)
    return alpha * tf.clip_by_value(log_policy, clip, 0.0)


def huber(error: tf.Tensor) -> tf.Tensor:
    """½ e² for |e| ≤ 1, |e| − ½ beyond (Huber, 1964), elementwise."""
    magnitude = tf.abs(error)
    return tf.where(magnitude <= 1.0, 0.5 * tf.square(error), magnitude - 0.5)


def half_squared(error: tf.Tensor) -> tf.Tensor:
    """½ e², elementwise."""
    return 0.5 * tf.square(error)

"""Returns as numbers or as distributions: what a Q network's outputs mean, and their loss.

Each class holds four functions of tensors. `values` are what the target averages over actions:
Q values, probabilities or quantiles; the target of `td_target` has the same form.
"""

import abc
import dataclasses

from trainer.compat.keras import tf
from trainer.config.agents import DQN
from trainer.rl.agents import q_learning

_ERRORS = {"huber": q_learning.huber, "squared": q_learning.half_squared}


class Returns(abc.ABC):
    """A representation of returns.

    Attributes:
      size: outputs of the network per action; 0 for a number without an axis of its own.
    """

    size: int

    def values(self, output: tf.Tensor) -> tf.Tensor:
        """What the network's output `[B, actions, size]` stands for, of the same shape."""
        return output

    @abc.abstractmethod
    def mean(self, values: tf.Tensor) -> tf.Tensor:
        """The expected return, the values' shape without their last axis."""

    @abc.abstractmethod
    def td_target(self, r_t: tf.Tensor, discount_t: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """The values `[B, size]` of r_t + discount_t · Z, where Z has `values` `[B, size]`."""

    @abc.abstractmethod
    def loss(self, output: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """The loss `[B]` of the output for an action, given the target, both `[B, size]`."""


@dataclasses.dataclass(frozen=True)
class Expectation(Returns):
    """The expected return alone: the network's outputs are Q values `[B, actions]`.

    Attributes:
      error: huber or squared.
    """

    error: str
    size = 0

    def mean(self, values: tf.Tensor) -> tf.Tensor:
        """See the base class."""
        return values

    def td_target(self, r_t: tf.Tensor, discount_t: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """See the base class."""
        return q_learning.td_target(r_t, discount_t, values)

    def loss(self, output: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """The loss of the temporal difference error."""
        return _ERRORS[self.error](target - output)


@dataclasses.dataclass(frozen=True)
class Categorical(Returns):
    """C51 (Bellemare et al., 2017): probabilities of fixed returns, from logits."""

    support: tf.Tensor

    @property
    def size(self) -> int:  # type: ignore[override]
        """The number of support points."""
        return int(self.support.shape[0])

    def values(self, output: tf.Tensor) -> tf.Tensor:
        """See the base class."""
        return tf.nn.softmax(output)

    def mean(self, values: tf.Tensor) -> tf.Tensor:
        """See the base class."""
        return tf.reduce_sum(values * self.support, axis=-1)

    def td_target(self, r_t: tf.Tensor, discount_t: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """See the base class."""
        return project_distribution(self.support, values, r_t, discount_t)

    def loss(self, output: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """The cross-entropy."""
        return tf.nn.softmax_cross_entropy_with_logits(target, output)


@dataclasses.dataclass(frozen=True)
class Quantiles(Returns):
    """QR-DQN (Dabney et al., 2018): equally probable returns, the outputs themselves."""

    size: int

    def mean(self, values: tf.Tensor) -> tf.Tensor:
        """See the base class."""
        return tf.reduce_mean(values, axis=-1)

    def td_target(self, r_t: tf.Tensor, discount_t: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """See the base class."""
        return q_learning.td_target(r_t[:, None], discount_t[:, None], values)

    def loss(self, output: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """The quantile Huber loss."""
        return quantile_huber(output, target)


def make_returns(settings: DQN) -> Returns:
    """The representation that `agent.distribution` names."""
    if settings.distribution == "categorical":
        return Categorical(tf.linspace(settings.v_min, settings.v_max, settings.num_atoms))
    if settings.distribution == "quantile":
        return Quantiles(settings.num_quantiles)
    return Expectation(settings.loss)


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
    moved = q_learning.td_target(r_t[:, None], discount_t[:, None], support[None, :])
    moved = tf.clip_by_value(moved, v_min, v_max)
    # A moved atom divides its mass between its two neighbors, in proportion to nearness.
    nearness = 1 - tf.abs(moved[:, None, :] - support[None, :, None]) / delta_z
    return tf.reduce_sum(tf.maximum(nearness, 0.0) * probabilities[:, None, :], axis=-1)


def quantile_huber(quantiles: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Σ_i mean_j |tau_i − 1{u_ij < 0}| huber(u_ij) with u_ij = target_j − quantile_i.

    tau_i = (i − ½) / N are the midpoints of N equal parts of [0, 1], and kappa is 1.

    Source: Dabney et al. (2018), equations 9 and 10 and algorithm 1.

    Args:
      quantiles: `[B, N]` float32.
      target: `[B, M]` float32, equally probable returns.

    Returns:
      `[B]` float32.
    """
    count = quantiles.shape[1]
    midpoint = (tf.range(count, dtype=tf.float32) + 0.5) / count
    error = target[:, None, :] - quantiles[:, :, None]
    weight = tf.abs(midpoint[:, None] - tf.cast(error < 0.0, tf.float32))
    return tf.reduce_sum(tf.reduce_mean(weight * q_learning.huber(error), axis=2), axis=1)

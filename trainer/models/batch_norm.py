"""Batch normalization whose statistics can be those of parts of a batch."""

from typing import Any

from trainer.compat.keras import keras, tf
from trainer.errors import UserError


class BatchNormalization(keras.layers.Layer):
    """Batch normalization (Ioffe and Szegedy, 2015), y = γ (x − μ) / √(σ² + ε) + β.

    In training μ and σ² are those of the batch. With a group size they are those of consecutive
    groups of examples, the ghost batches of Hoffer et al. (2017): a large batch is then
    normalized as small batches are. In inference, and where `trainable` is False, they are the
    moving averages, m ← momentum · m + (1 − momentum) · statistic. Each group updates them in its
    order, with the unbiased variance.

    The variables have the properties of those of Keras' layer, so that
    `moving_statistics.synchronize` makes the averages equal on all replicas.

    Input and output shape: `[B, C]` or `[B, H, W, C]`, any floating dtype. The variables are
    float32 under mixed precision.
    """

    def __init__(
        self,
        group_size: int = 0,
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        name: str | None = None,
    ):
        """Creates the layer.

        Args:
          group_size: examples per group; 0 for all examples of a call.
          momentum: of the moving averages. Keras' default of 0.99 needs some 500 updates until
            they are usable.
          epsilon: ε, added to the variance.
          center: whether to learn β; otherwise it is 0.
          scale: whether to learn γ; otherwise it is 1.
          name: of the layer.
        """
        super().__init__(name=name)
        self._group_size = group_size
        self._momentum = momentum
        self._epsilon = epsilon
        self._center = center
        self._scale = scale

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "group_size": self._group_size,
            "momentum": self._momentum,
            "epsilon": self._epsilon,
            "center": self._center,
            "scale": self._scale,
        }

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates γ, β and the moving averages, `[C]` each."""
        shape = [input_shape[-1]]

        def weight(name: str, value: str, **properties: Any) -> tf.Variable:
            return self.add_weight(
                name=name,
                shape=shape,
                dtype=self.variable_dtype,
                initializer=value,
                experimental_autocast=False,
                **properties,
            )

        moving: dict[str, Any] = {
            "trainable": False,
            "synchronization": tf.VariableSynchronization.ON_READ,
            "aggregation": tf.VariableAggregation.MEAN,
        }
        self.gamma = weight("gamma", "ones") if self._scale else None
        self.beta = weight("beta", "zeros") if self._center else None
        self.moving_mean = weight("moving_mean", "zeros", **moving)
        self.moving_variance = weight("moving_variance", "ones", **moving)
        super().build(input_shape)

    # Nothing here depends on a tensor's value; the conversion of each layer takes time.
    @tf.autograph.experimental.do_not_convert
    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Normalizes `[B, ..., C]` by the statistics of its groups, or by the moving averages.

        Raises:
          UserError: in training, if the group size does not divide B.
        """
        x = inputs if len(inputs.shape) == 4 else inputs[:, tf.newaxis, tf.newaxis, :]
        if training and self.trainable:
            y = self._normalize_groups(x)
        else:
            y = self._normalize_by_averages(x)
        return y if len(inputs.shape) == 4 else y[:, 0, 0, :]

    def _normalize_groups(self, x: tf.Tensor) -> tf.Tensor:
        groups = self._groups(x)
        outputs = []
        moving_mean, moving_variance = map(
            tf.convert_to_tensor, (self.moving_mean, self.moving_variance)
        )
        for group in groups:
            y, mean, variance = self._normalize_by_batch(group)
            moving_mean += (1 - self._momentum) * (mean - moving_mean)
            moving_variance += (1 - self._momentum) * (variance - moving_variance)
            outputs.append(y)
        self.moving_mean.assign(moving_mean)
        self.moving_variance.assign(moving_variance)
        return outputs[0] if len(outputs) == 1 else tf.concat(outputs, axis=0)

    def _groups(self, x: tf.Tensor) -> list[tf.Tensor]:
        size, batch_size = self._group_size, x.shape[0]
        if not size:
            return [x]
        if batch_size is None:
            raise ValueError("batch normalization by groups needs a static batch size")
        require_whole_groups(batch_size, size)
        return [x] if batch_size == size else tf.split(x, batch_size // size)

    def _normalize_by_batch(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The normalized `[B, H, W, C]`, the batch's mean and its unbiased variance, `[C]`."""
        gamma, beta = self._gamma_and_beta()
        if x.dtype == tf.float64:
            # The fused operation has no float64.
            mean, variance = tf.nn.moments(x, axes=[0, 1, 2])
            y = tf.nn.batch_normalization(x, mean, variance, beta, gamma, self._epsilon)
            count = tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), x.dtype)
            return y, mean, variance * count / tf.maximum(count - 1, 1)
        empty = tf.zeros([0])
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=gamma,
            offset=beta,
            mean=empty,
            variance=empty,
            epsilon=self._epsilon,
            is_training=True,
        )
        return y, mean, variance

    def _normalize_by_averages(self, x: tf.Tensor) -> tf.Tensor:
        mean, variance = self.moving_mean, self.moving_variance
        gamma, beta = self._gamma_and_beta()
        if x.dtype == tf.float64:
            return tf.nn.batch_normalization(x, mean, variance, beta, gamma, self._epsilon)
        return tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=gamma,
            offset=beta,
            mean=mean,
            variance=variance,
            epsilon=self._epsilon,
            is_training=False,
        ).y

    def _gamma_and_beta(self) -> tuple[tf.Tensor, tf.Tensor]:
        gamma = tf.ones_like(self.moving_mean) if self.gamma is None else self.gamma
        beta = tf.zeros_like(self.moving_mean) if self.beta is None else self.beta
        return gamma, beta


def require_whole_groups(batch_size: int, group_size: int) -> None:
    """Checks that a replica's batch consists of whole groups.

    Args:
      batch_size: examples that one call normalizes.
      group_size: examples per group; 0 for all examples of a call.

    Raises:
      UserError: if they are not divisible.
    """
    if group_size and batch_size % group_size:
        raise UserError(
            "train.batch_norm_group must divide the batch of each replica, which has "
            f"{batch_size} examples. Received: {group_size}"
        )

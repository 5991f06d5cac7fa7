"""The convolutions of all architectures, with their normalization and activation."""

from trainer.compat.keras import keras, tf
from trainer.models.context import Context


def scaled(channels: int, width: float) -> int:
    """The channels, or units, of a layer in a network of another width; at least 1."""
    return max(1, round(channels * width))


def convolution(
    inputs: tf.Tensor,
    filters: int,
    kernel_size: int,
    strides: int = 1,
    padding: str = "same",
    activation: str | None = None,
    use_bias: bool = True,
    initializer: str = "he_normal",
) -> tf.Tensor:
    """A convolution `[B, H, W, C]` to `[B, H', W', filters]` with a square kernel.

    The default initialization is He et al.'s (2015), for layers that a rectifier follows.
    """
    if kernel_size == 1 and strides > 1:
        # The same pixels. oneDNN's filter gradient of a 1x1 kernel with strides is wrong for fewer
        # than 8 channels (docs/LOG.md, 2026-11-28).
        inputs, strides = inputs[:, ::strides, ::strides], 1
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding,
        activation=activation,
        use_bias=use_bias,
        kernel_initializer=initializer,
    )(inputs)


def convolution_batch_norm(
    inputs: tf.Tensor,
    filters: int,
    kernel_size: int,
    context: Context,
    strides: int = 1,
    padding: str = "same",
    relu: bool = True,
) -> tf.Tensor:
    """A convolution without bias, batch normalization, and a rectifier if `relu`."""
    features = convolution(inputs, filters, kernel_size, strides, padding, use_bias=False)
    features = context.batch_norm()(features)
    return keras.layers.ReLU()(features) if relu else features


def batch_norm_relu(inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Batch normalization and a rectifier, as before the convolutions of preactivated blocks."""
    return keras.layers.ReLU()(context.batch_norm()(inputs))

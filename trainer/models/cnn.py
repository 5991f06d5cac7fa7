"""`cnn`: convolutions with optional batch normalization and pooling, then dense layers."""

from trainer.compat.keras import keras, tf
from trainer.config.models import CNN
from trainer.models.context import Context, require_images
from trainer.models.convolution import convolution
from trainer.models.mlp import dense_layers


def build(config: CNN, inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Maps images `[B, H, W, C]` to `[B, F]`."""
    require_images(inputs, config.kind)
    features = inputs
    number = len(config.filters)
    kernel_sizes, strides = _each(config.kernel_size, number), _each(config.strides, number)
    for filters, kernel_size, stride in zip(config.filters, kernel_sizes, strides, strict=True):
        features = convolution(
            features,
            filters,
            kernel_size,
            stride,
            config.padding,
            # Batch normalization has its own offset.
            use_bias=not config.batch_norm,
            initializer="glorot_uniform",
        )
        if config.batch_norm:
            features = context.batch_norm()(features)
        features = keras.layers.Activation(config.activation)(features)
        if config.pool > 1:
            features = keras.layers.MaxPool2D(config.pool)(features)
    features = keras.layers.Flatten()(features)
    return dense_layers(features, config.units, config.activation, config.dropout, context)


def _each(values: tuple[int, ...], number: int) -> tuple[int, ...]:
    """The value of each of `number` convolutions; a single one is that of all."""
    return values * number if len(values) == 1 else values

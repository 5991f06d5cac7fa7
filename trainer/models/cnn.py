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
    for filters in config.filters:
        features = convolution(
            features,
            filters,
            config.kernel_size,
            config.strides,
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

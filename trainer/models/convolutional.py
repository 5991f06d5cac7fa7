"""Convolutional networks: `cnn` and the founding document's two."""

from trainer.compat.keras import keras, tf
from trainer.config.sections import CNN, ConvNet, KerasCNN
from trainer.models.dense import dense_stack

# Keras' own 0.99 needs some 500 updates before its averages mean anything.
_BATCH_NORM_MOMENTUM = 0.9


def cnn_layers(config: CNN, seed: int, step: tf.Variable) -> list[keras.layers.Layer]:
    """Convolution, normalization, activation, pooling for each of `filters`; then dense."""
    layers: list[keras.layers.Layer] = []
    for filters in config.filters:
        layers.append(
            keras.layers.Conv2D(
                filters,
                config.kernel_size,
                config.strides,
                config.padding,
                # Batch normalization has a shift of its own.
                use_bias=not config.batch_norm,
            )
        )
        if config.batch_norm:
            layers.append(keras.layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM))
        layers.append(keras.layers.Activation(config.activation))
        if config.pool > 1:
            layers.append(keras.layers.MaxPool2D(config.pool))
    layers.append(keras.layers.Flatten())
    return layers + dense_stack(config.units, config.activation, config.dropout, seed, step)


def keras_cnn_layers(config: KerasCNN, seed: int, step: tf.Variable) -> list[keras.layers.Layer]:
    """32 filters of 3x3 with ReLU, max pooling 2: `[B, 32, 32, 3] -> [B, 7200]`."""
    del config, seed, step
    return [
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.MaxPool2D(2),
        keras.layers.Flatten(),
    ]


def convnet_layers(config: ConvNet, seed: int, step: tf.Variable) -> list[keras.layers.Layer]:
    """6@5x5, pool, 16@5x5, pool, 120, 84, ReLU throughout: `[B, 32, 32, 3] -> [B, 84]`."""
    del config, seed, step
    return [
        keras.layers.Conv2D(6, 5, activation="relu"),
        keras.layers.MaxPool2D(2),
        keras.layers.Conv2D(16, 5, activation="relu"),
        keras.layers.MaxPool2D(2),
        keras.layers.Flatten(),
        keras.layers.Dense(120, "relu"),
        keras.layers.Dense(84, "relu"),
    ]

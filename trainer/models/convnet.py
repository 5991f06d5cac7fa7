"""`convnet`: the founding document's CV ConvNet, a LeNet with ReLU and max pooling.

| layer | output, for images of 32x32x3 |
|---|---|
| convolution 6@5x5, ReLU | 28x28x6 |
| max pooling 2x2 | 14x14x6 |
| convolution 16@5x5, ReLU | 10x10x16 |
| max pooling 2x2 | 5x5x16 |
| dense 120, ReLU | 120 |
| dense 84, ReLU | 84 |
"""

from trainer.compat.keras import keras, tf
from trainer.config.models import ConvNet
from trainer.models.context import Context, require_images
from trainer.models.convolution import convolution


def build(config: ConvNet, inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Maps images `[B, H, W, C]` to `[B, 84]`."""
    del context
    require_images(inputs, config.kind)
    features = inputs
    for filters in (6, 16):
        features = convolution(
            features, filters, 5, padding="valid", activation="relu", initializer="glorot_uniform"
        )
        features = keras.layers.MaxPool2D(2)(features)
    features = keras.layers.Flatten()(features)
    for units in (120, 84):
        features = keras.layers.Dense(units, "relu")(features)
    return features

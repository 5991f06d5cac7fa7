"""`keras_cnn`: the founding document's Keras CNN.

| layer | output, for images of 32x32x3 |
|---|---|
| convolution 32@3x3, ReLU | 30x30x32 |
| max pooling 2x2 | 15x15x32 |
| flatten | 7200 |
"""

from trainer.compat.keras import keras, tf
from trainer.config.models import KerasCNN
from trainer.models.context import Context, require_images
from trainer.models.convolution import convolution


def build(config: KerasCNN, inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Maps images `[B, H, W, C]` to `[B, F]`; `[B, 32, 32, 3]` to `[B, 7200]`."""
    del context
    require_images(inputs, config.kind)
    features = convolution(
        inputs, 32, 3, padding="valid", activation="relu", initializer="glorot_uniform"
    )
    features = keras.layers.MaxPool2D(2)(features)
    return keras.layers.Flatten()(features)

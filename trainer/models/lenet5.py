"""`lenet5`: LeNet-5 (LeCun et al., "Gradient-based learning applied to document recognition").

Smaller images are padded to 32x32, as the paper does with those of 28x28.

| layer | output, for images of 32x32x1 | parameters |
|---|---|---|
| C1: convolution 6@5x5 | 28x28x6 | 156 |
| S2: pooling 2x2 | 14x14x6 | |
| C3: convolution 16@5x5 | 10x10x16 | 2,416 |
| S4: pooling 2x2 | 5x5x16 | |
| C5: dense 120 | 120 | 48,120 |
| F6: dense 84 | 84 | 10,164 |
| head, 10 classes | 10 | 850 |

These are the 61,706 parameters of the common reading of the paper, whose own count is 60,000:
the average pooling has no trainable coefficient and bias, each map of C3 sees all maps of S2, the
activation is a plain tanh, and a softmax takes the place of the radial basis functions. With
`variant="relu"` the activation is ReLU and the pooling takes the maximum.
"""

from trainer.compat.keras import keras, tf
from trainer.config.models import LeNet5
from trainer.models.context import Context, require_images
from trainer.models.convolution import convolution, scaled

_SIZE = 32


def build(config: LeNet5, inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Maps images `[B, H, W, C]` to `[B, 84]`."""
    del context
    require_images(inputs, config.kind)
    relu = config.variant == "relu"
    activation, pooling = (
        ("relu", keras.layers.MaxPool2D) if relu else ("tanh", keras.layers.AveragePooling2D)
    )
    features = _pad(inputs)
    for filters in (6, 16):
        features = convolution(
            features,
            scaled(filters, config.width),
            kernel_size=5,
            padding="valid",
            activation=activation,
            initializer="he_normal" if relu else "glorot_uniform",
        )
        features = pooling(2)(features)
    features = keras.layers.Flatten()(features)
    for units in (120, 84):
        features = keras.layers.Dense(scaled(units, config.width), activation)(features)
    return features


def _pad(inputs: tf.Tensor) -> tf.Tensor:
    """Images of at least 32x32, with zeros around smaller ones."""
    missing = [max(0, _SIZE - size) for size in inputs.shape[1:3]]
    if not any(missing):
        return inputs
    return keras.layers.ZeroPadding2D([(each // 2, each - each // 2) for each in missing])(inputs)

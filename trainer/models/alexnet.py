"""`alexnet`: AlexNet (Krizhevsky et al., 2012), in one column (Krizhevsky, 2014).

| layer | imagenet, 224x224x3 | cifar, 32x32x3 |
|---|---|---|
| convolution 64 | 11x11, stride 4: 55x55x64 | 5x5: 32x32x64 |
| max pooling 3x3, stride 2 | 27x27x64 | 15x15x64 |
| convolution 192@5x5 | 27x27x192 | 15x15x192 |
| max pooling 3x3, stride 2 | 13x13x192 | 7x7x192 |
| convolutions 384, 256, 256@3x3 | 13x13x256 | 7x7x256 |
| max pooling 3x3, stride 2 | 6x6x256 | 3x3x256 |
| dropout, dense | 4096 | 1024 |
| dropout, dense | 4096 | 1024 |

Each layer has a ReLU. With 1000 classes `imagenet` has 61,100,840 parameters, torchvision's
count. The network of 2012 has 60,965,224 in two columns. Its local response normalization is left
out: Simonyan and Zisserman (2015) found that it does not help.
"""

from trainer.compat.keras import keras, tf
from trainer.config.models import AlexNet
from trainer.models.context import Context, require_images
from trainer.models.convolution import convolution, scaled


def build(config: AlexNet, inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Maps images `[B, H, W, C]` to `[B, 4096]`, or `[B, 1024]` for cifar."""
    require_images(inputs, config.kind)

    def convolve(features: tf.Tensor, filters: int, kernel_size: int) -> tf.Tensor:
        return convolution(features, scaled(filters, config.width), kernel_size, activation="relu")

    if config.variant == "imagenet":
        features = keras.layers.ZeroPadding2D(2)(inputs)
        features = convolution(
            features, scaled(64, config.width), 11, strides=4, padding="valid", activation="relu"
        )
        units = 4096
    else:
        features = convolve(inputs, 64, 5)
        units = 1024
    features = keras.layers.MaxPool2D(3, 2)(features)
    features = convolve(features, 192, 5)
    features = keras.layers.MaxPool2D(3, 2)(features)
    for filters in (384, 256, 256):
        features = convolve(features, filters, 3)
    features = keras.layers.MaxPool2D(3, 2)(features)
    features = keras.layers.Flatten()(features)
    for number in range(2):
        if config.dropout:
            features = context.dropout(config.dropout, f"dropout_{number}")(features)
        features = keras.layers.Dense(scaled(units, config.width), "relu")(features)
    return features

"""`vgg`: the VGG networks A, B, D and E (Simonyan and Zisserman, 2015).

Convolutions are 3x3 with ReLU; each stage ends in max pooling 2x2.

| stage | channels | convolutions of depth 11, 13, 16, 19 | output, 224x224 | 32x32 |
|---|---|---|---|---|
| 1 | 64 | 1, 2, 2, 2 | 112x112 | 16x16 |
| 2 | 128 | 1, 2, 2, 2 | 56x56 | 8x8 |
| 3 | 256 | 2, 2, 3, 4 | 28x28 | 4x4 |
| 4 | 512 | 2, 2, 3, 4 | 14x14 | 2x2 |
| 5 | 512 | 2, 2, 3, 4 | 7x7 | 1x1 |
| dense, dropout | | | 4096, twice | 512, once |

With 1000 classes and without batch normalization, depth 16 has 138,357,544 parameters.
"""

from trainer.compat.keras import keras, tf
from trainer.config.models import VGG
from trainer.models.context import Context, require_images
from trainer.models.convolution import convolution, convolution_batch_norm, scaled
from trainer.models.mlp import dense_layers

_CHANNELS = (64, 128, 256, 512, 512)
_CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
_UNITS = {"imagenet": (4096, 4096), "cifar": (512,)}


def build(config: VGG, inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Maps images `[B, H, W, C]` to `[B, 4096]`, or `[B, 512]` for cifar."""
    require_images(inputs, config.kind)
    features = inputs
    for channels, repeats in zip(_CHANNELS, _CONVOLUTIONS[config.depth], strict=True):
        filters = scaled(channels, config.width)
        for _ in range(repeats):
            if config.batch_norm:
                features = convolution_batch_norm(features, filters, 3, context)
            else:
                features = convolution(features, filters, 3, activation="relu")
        features = keras.layers.MaxPool2D(2)(features)
    features = keras.layers.Flatten()(features)
    units = tuple(scaled(each, config.width) for each in _UNITS[config.variant])
    return dense_layers(features, units, "relu", config.dropout, context)

"""`inception`: GoogLeNet (Szegedy et al., "Going deeper with convolutions", 2015).

| layer | channels: 1x1; 3x3; 5x5; pooling | imagenet, 224x224x3 | cifar, 32x32x3 |
|---|---|---|---|
| stem | | 28x28x192 | 32x32x192 |
| 3a | 64; 96, 128; 16, 32; 32 | 28x28x256 | 32x32x256 |
| 3b | 128; 128, 192; 32, 96; 64 | 28x28x480 | 32x32x480 |
| max pooling 3x3, stride 2 | | 14x14x480 | 16x16x480 |
| 4a | 192; 96, 208; 16, 48; 64 | 14x14x512 | 16x16x512 |
| 4b | 160; 112, 224; 24, 64; 64 | 14x14x512 | 16x16x512 |
| 4c | 128; 128, 256; 24, 64; 64 | 14x14x512 | 16x16x512 |
| 4d | 112; 144, 288; 32, 64; 64 | 14x14x528 | 16x16x528 |
| 4e | 256; 160, 320; 32, 128; 128 | 14x14x832 | 16x16x832 |
| max pooling 3x3, stride 2 | | 7x7x832 | 8x8x832 |
| 5a | 256; 160, 320; 32, 128; 128 | 7x7x832 | 8x8x832 |
| 5b | 384; 192, 384; 48, 128; 128 | 7x7x1024 | 8x8x1024 |
| average pooling, dropout | | 1024 | 1024 |

In a module, 1x1 convolutions reduce the channels before the larger kernels and follow max pooling
3x3. The stem is a convolution 64@7x7 of stride 2, max pooling, 64@1x1, 192@3x3 and max pooling;
for cifar it is a convolution 192@3x3. Auxiliary classifiers take the features of 4a and 4d:
average pooling 5x5 of stride 3, 128@1x1, dense 1024, dropout 0.7.

With 1000 classes and without batch normalization the network has 6,998,552 parameters, and
13,378,280 with the auxiliary classifiers. Local response normalization is left out.
"""

from collections.abc import Callable

from trainer.compat.keras import keras, tf
from trainer.config.models import Inception
from trainer.models.context import Auxiliary, Context, Features, require_images
from trainer.models.convolution import convolution, convolution_batch_norm, scaled

_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_POOLED_AFTER = ("3b", "4e")
_AUXILIARY_AFTER = ("4a", "4d")
_AUXILIARY_DROPOUT = 0.7

# Maps features, a number of channels and a kernel size to features.
_Convolve = Callable[[tf.Tensor, int, int], tf.Tensor]


def build(config: Inception, inputs: tf.Tensor, context: Context) -> Features:
    """Maps images `[B, H, W, C]` to `[B, 1024]`, twice more for the auxiliary classifiers."""
    require_images(inputs, config.kind)

    def convolve(
        features: tf.Tensor, channels: int, kernel_size: int, strides: int = 1
    ) -> tf.Tensor:
        filters = scaled(channels, config.width)
        if config.batch_norm:
            return convolution_batch_norm(features, filters, kernel_size, context, strides)
        return convolution(features, filters, kernel_size, strides, activation="relu")

    if config.variant == "imagenet":
        features = _pool(convolve(inputs, 64, 7, strides=2))
        features = _pool(convolve(convolve(features, 64, 1), 192, 3))
    else:
        features = convolve(inputs, 192, 3)
    auxiliary = []
    for name, channels in _MODULES.items():
        features = _module(features, channels, convolve)
        if name in _POOLED_AFTER:
            features = _pool(features)
        if name in _AUXILIARY_AFTER and config.auxiliary_weight:
            branch = _auxiliary(features, config, context, convolve, f"dropout_{name}")
            auxiliary.append(Auxiliary(branch, config.auxiliary_weight))
    features = keras.layers.GlobalAveragePooling2D()(features)
    if config.dropout:
        features = context.dropout(config.dropout, "dropout")(features)
    return Features(features, tuple(auxiliary))


def _pool(features: tf.Tensor) -> tf.Tensor:
    return keras.layers.MaxPool2D(3, 2, "same")(features)


def _module(features: tf.Tensor, channels: tuple[int, ...], convolve: _Convolve) -> tf.Tensor:
    """An Inception module: four branches, concatenated."""
    one, reduce_three, three, reduce_five, five, pooled = channels
    return keras.layers.Concatenate()(
        [
            convolve(features, one, 1),
            convolve(convolve(features, reduce_three, 1), three, 3),
            convolve(convolve(features, reduce_five, 1), five, 5),
            convolve(keras.layers.MaxPool2D(3, 1, "same")(features), pooled, 1),
        ]
    )


def _auxiliary(
    features: tf.Tensor, config: Inception, context: Context, convolve: _Convolve, name: str
) -> tf.Tensor:
    features = keras.layers.AveragePooling2D(5, 3)(features)
    features = keras.layers.Flatten()(convolve(features, 128, 1))
    features = keras.layers.Dense(scaled(1024, config.width), "relu")(features)
    return context.dropout(_AUXILIARY_DROPOUT, name)(features) if config.dropout else features

"""`resnet`: residual networks (He et al., "Deep residual learning for image recognition", 2016).

cifar, depth 6n + 2, for images of 32x32x3:

| layer | output |
|---|---|
| convolution 16@3x3 | 32x32x16 |
| n blocks of two 16@3x3 | 32x32x16 |
| n blocks of two 32@3x3, the first of stride 2 | 16x16x32 |
| n blocks of two 64@3x3, the first of stride 2 | 8x8x64 |
| global average pooling | 64 |

imagenet, for images of 224x224x3; from depth 50 a block is 1x1, 3x3, 1x1 with 4 times the channels:

| layer | output | blocks of depth 18, 34, 50, 101, 152 |
|---|---|---|
| convolution 64@7x7, stride 2 | 112x112x64 | |
| max pooling 3x3, stride 2 | 56x56x64 | |
| blocks of 64 channels | 56x56 | 2, 3, 3, 3, 3 |
| blocks of 128 channels, stride 2 | 28x28 | 2, 4, 4, 4, 8 |
| blocks of 256 channels, stride 2 | 14x14 | 2, 6, 6, 23, 36 |
| blocks of 512 channels, stride 2 | 7x7 | 2, 3, 3, 3, 3 |
| global average pooling | 512 or 2048 | |

Each convolution is followed by batch normalization. In bottleneck blocks the 3x3 convolution has
the stride, which is more accurate than the paper's first 1x1 (Goyal et al., 2017). With
`preactivation`, normalization and ReLU precede each convolution (He et al., "Identity mappings in
deep residual networks", 2016). `stochastic_depth` is the rate of the last block, by the linear
rule of Huang et al. (2016).

Parameters of cifar with option A (zero padding) and 10 classes: 0.27M for depth 20, 0.46M for 32,
0.66M for 44, 0.85M for 56, 1.7M for 110. Of imagenet with projections and 1000 classes: 11.7M
for depth 18, 21.8M for 34, 25.6M for 50, 44.5M for 101, 60.2M for 152.
"""

from trainer.compat.keras import keras, tf
from trainer.config.models import ResNet
from trainer.models.context import Context, require_images
from trainer.models.convolution import (
    batch_norm_relu,
    convolution,
    convolution_batch_norm,
    scaled,
)
from trainer.models.residual_blocks import Style, residual_stages

_IMAGENET_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_FIRST_BOTTLENECK_DEPTH = 50


def build(config: ResNet, inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Maps images `[B, H, W, C]` to `[B, F]`, with F = 64 for cifar and 512 or 2048 otherwise."""
    require_images(inputs, config.kind)
    imagenet = config.variant == "imagenet"
    stages = _IMAGENET_BLOCKS[config.depth] if imagenet else ((config.depth - 2) // 6,) * 3
    style = Style(
        blocks=sum(stages),
        bottleneck=imagenet and config.depth >= _FIRST_BOTTLENECK_DEPTH,
        projection=config.shortcut == "projection" or (imagenet and config.shortcut == "auto"),
        preactivation=config.preactivation,
        stochastic_depth=config.stochastic_depth,
    )
    channels = scaled(64 if imagenet else 16, config.width)
    kernel_size, strides = (7, 2) if imagenet else (3, 1)
    if config.preactivation:
        features = convolution(inputs, channels, kernel_size, strides, use_bias=False)
    else:
        features = convolution_batch_norm(inputs, channels, kernel_size, context, strides)
    if imagenet:
        features = keras.layers.MaxPool2D(3, 2, "same")(features)
    features = residual_stages(features, channels, stages, style, context)
    if config.preactivation:
        features = batch_norm_relu(features, context)
    return keras.layers.GlobalAveragePooling2D()(features)

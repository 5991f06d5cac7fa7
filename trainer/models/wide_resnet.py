"""`wide_resnet`: wide residual networks, WRN-d-k (Zagoruyko and Komodakis, 2016).

The depth is d = 6n + 4, the widening factor is k. For images of 32x32x3:

| layer | output |
|---|---|
| convolution 16@3x3 | 32x32x16 |
| n preactivated blocks of two (16 k)@3x3 | 32x32x(16 k) |
| n blocks of two (32 k)@3x3, the first of stride 2 | 16x16x(32 k) |
| n blocks of two (64 k)@3x3, the first of stride 2 | 8x8x(64 k) |
| batch normalization, ReLU, global average pooling | 64 k |

Shortcuts are 1x1 convolutions where the shape changes. Dropout is between the two convolutions of
a block. With 10 classes WRN-16-8 has 11.0M parameters and WRN-28-10 has 36.5M.
"""

from trainer.compat.keras import keras, tf
from trainer.config.models import WideResNet
from trainer.models.context import Context, require_images
from trainer.models.convolution import batch_norm_relu, convolution, scaled
from trainer.models.residual_blocks import Style, residual_stages

_FIRST_CHANNELS = 16


def build(config: WideResNet, inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Maps images `[B, H, W, C]` to `[B, 64 k]`."""
    require_images(inputs, config.kind)
    stages = ((config.depth - 4) // 6,) * 3
    style = Style(
        blocks=sum(stages),
        preactivation=True,
        dropout=config.dropout,
        stochastic_depth=config.stochastic_depth,
    )
    features = convolution(inputs, _FIRST_CHANNELS, 3, use_bias=False)
    channels = scaled(_FIRST_CHANNELS, config.width)
    features = residual_stages(features, channels, stages, style, context)
    return keras.layers.GlobalAveragePooling2D()(batch_norm_relu(features, context))

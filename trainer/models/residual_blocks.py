"""The blocks of residual networks: shortcut + branch (He et al., 2016)."""

import dataclasses
from typing import Any

from trainer.compat.keras import keras, tf
from trainer.models.context import Context
from trainer.models.convolution import (
    batch_norm_relu,
    convolution,
    convolution_batch_norm,
)
from trainer.models.stochastic_depth import linear_rate

# Channels of a bottleneck block's output per channel of its 3x3 convolution.
_EXPANSION = 4


@dataclasses.dataclass(frozen=True)
class Style:
    """What the blocks of a network have in common.

    Attributes:
      blocks: their number.
      bottleneck: convolutions 1x1, 3x3, 1x1 instead of two 3x3.
      projection: a 1x1 convolution where the shape changes, instead of zero padding.
      preactivation: normalization and ReLU before each convolution (He et al., 2016b).
      dropout: rate between the convolutions of a preactivated block.
      stochastic_depth: rate of the last block.
    """

    blocks: int
    bottleneck: bool = False
    projection: bool = True
    preactivation: bool = False
    dropout: float = 0.0
    stochastic_depth: float = 0.0


class PaddedShortcut(keras.layers.Layer):
    """Option A of He et al. (2016): every `strides`-th pixel, and zeros for new channels.

    Maps `[B, H, W, C]` to `[B, H / strides, W / strides, filters]`, rounded up.
    """

    def __init__(self, filters: int, strides: int):
        """Creates the layer, which has no weights."""
        super().__init__()
        self._filters = filters
        self._strides = strides

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "filters": self._filters, "strides": self._strides}

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Maps the inputs."""
        pixels = inputs[:, :: self._strides, :: self._strides]
        return tf.pad(pixels, [(0, 0), (0, 0), (0, 0), (0, self._filters - inputs.shape[-1])])


def residual_stages(
    features: tf.Tensor, channels: int, stages: tuple[int, ...], style: Style, context: Context
) -> tf.Tensor:
    """Stages of blocks; each but the first doubles the channels and halves height and width.

    Args:
      features: `[B, H, W, C]`.
      channels: of the first stage.
      stages: blocks per stage.
      style: of the blocks.
      context: of the network.
    """
    number = 0
    for stage, blocks in enumerate(stages):
        for index in range(blocks):
            number += 1
            strides = 2 if stage > 0 and index == 0 else 1
            features = _block(features, channels * 2**stage, strides, number, style, context)
    return features


def _block(
    inputs: tf.Tensor, filters: int, strides: int, number: int, style: Style, context: Context
) -> tf.Tensor:
    """A residual block.

    Args:
      inputs: `[B, H, W, C]`.
      filters: channels of the 3x3 convolutions.
      strides: of the block.
      number: of the block in the network, from 1.
      style: of the network.
      context: of the network.
    """
    outputs = filters * _EXPANSION if style.bottleneck else filters
    same_shape = strides == 1 and inputs.shape[-1] == outputs
    if style.preactivation:
        activated = batch_norm_relu(inputs, context)
        shortcut = inputs if same_shape else _shortcut(activated, outputs, strides, style, context)
        branch = _preactivated_branch(activated, filters, strides, number, style, context)
    else:
        shortcut = inputs if same_shape else _shortcut(inputs, outputs, strides, style, context)
        branch = _branch(inputs, filters, strides, style, context)
    rate = linear_rate(number, style.blocks, style.stochastic_depth)
    if rate:
        branch = context.stochastic_depth(rate, f"stochastic_depth_{number}")(branch)
    features = keras.layers.Add()([shortcut, branch])
    return features if style.preactivation else keras.layers.ReLU()(features)


def _convolutions(filters: int, strides: int, bottleneck: bool) -> list[tuple[int, int, int]]:
    """Filters, kernel size and strides of the convolutions of a branch."""
    if bottleneck:
        return [(filters, 1, 1), (filters, 3, strides), (filters * _EXPANSION, 1, 1)]
    return [(filters, 3, strides), (filters, 3, 1)]


def _shortcut(
    inputs: tf.Tensor, filters: int, strides: int, style: Style, context: Context
) -> tf.Tensor:
    if not style.projection:
        return PaddedShortcut(filters, strides)(inputs)
    if style.preactivation:
        return convolution(inputs, filters, 1, strides, use_bias=False)
    return convolution_batch_norm(inputs, filters, 1, context, strides, relu=False)


def _branch(
    features: tf.Tensor, filters: int, strides: int, style: Style, context: Context
) -> tf.Tensor:
    *first, last = _convolutions(filters, strides, style.bottleneck)
    for width, kernel_size, stride in first:
        features = convolution_batch_norm(features, width, kernel_size, context, stride)
    width, kernel_size, stride = last
    return convolution_batch_norm(features, width, kernel_size, context, stride, relu=False)


def _preactivated_branch(
    features: tf.Tensor, filters: int, strides: int, number: int, style: Style, context: Context
) -> tf.Tensor:
    """The branch behind its first normalization and ReLU."""
    (width, kernel_size, stride), *others = _convolutions(filters, strides, style.bottleneck)
    features = convolution(features, width, kernel_size, stride, use_bias=False)
    for index, (width, kernel_size, stride) in enumerate(others):
        features = batch_norm_relu(features, context)
        if style.dropout:
            name = f"dropout_{number}_{index}"
            features = context.dropout(style.dropout, name)(features)
        features = convolution(features, width, kernel_size, stride, use_bias=False)
    return features

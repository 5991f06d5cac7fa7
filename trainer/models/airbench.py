"""`airbench`: the network of airbench94 (Jordan, "94% on CIFAR-10 in 3.29 seconds", 2024).

For images of 32x32x3:

| layer | output |
|---|---|
| whitening 24@2x2 without padding, GELU | 31x31x24 |
| block of 64 channels | 15x15x64 |
| block of 256 channels | 7x7x256 |
| block of 256 channels | 3x3x256 |
| global max pooling | 256 |
| dense layer without bias on features / 256 | classes |

A block is convolution 3x3, max pooling 2x2, batch normalization, GELU, convolution 3x3, batch
normalization, GELU. The convolutions have no bias and begin, as far as the channels allow it, as
the identity; batch normalization has no scale.

The filters of the first layer are fixed: the principal axes of the 2x2 patches of training images,
scaled to a variance of 1, and their negatives. Only its bias is trained. 1,971,352 trainable
parameters with 10 classes.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import keras, tf
from trainer.config.models import Airbench
from trainer.models.context import Context, Features, Head, require_images
from trainer.models.convolution import scaled

_CHANNELS = (64, 256, 256)
_PATCH = 2
_SAMPLE = 5000
_EPSILON = 5e-4


def build(config: Airbench, inputs: tf.Tensor, context: Context) -> Features:
    """Maps images `[B, H, W, C]` to `[B, 256]`; H and W are 16 at least."""
    require_images(inputs, config.kind)
    features = Whitening(context.sample, name="whitening")(inputs)
    features = keras.layers.Activation("gelu")(features)
    for channels in _CHANNELS:
        filters = scaled(channels, config.width)
        features = _convolution(features, filters)
        features = keras.layers.MaxPool2D(2)(features)
        features = _batch_norm_gelu(features, context)
        features = _convolution(features, filters)
        features = _batch_norm_gelu(features, context)
    # Of 3x3 windows in the paper, which is the same for images of 32x32.
    features = keras.layers.GlobalMaxPool2D()(features)
    # A standard deviation of 1.
    initializer = keras.initializers.RandomUniform(-math.sqrt(3), math.sqrt(3))
    features = keras.layers.Rescaling(1 / features.shape[-1])(features)
    return Features(features, head=Head(use_bias=False, initializer=initializer))


def _convolution(features: tf.Tensor, filters: int) -> tf.Tensor:
    return keras.layers.Conv2D(
        filters, 3, padding="same", use_bias=False, kernel_initializer=PartialIdentity()
    )(features)


def _batch_norm_gelu(features: tf.Tensor, context: Context) -> tf.Tensor:
    features = context.batch_norm(momentum=0.6, epsilon=1e-12, scale=False)(features)
    return keras.layers.Activation("gelu")(features)


class PartialIdentity(keras.initializers.Initializer):
    """The first filters copy their input channel; the others are uniform in ±1/√inputs.

    Inputs are all weights of a filter, as in the default initialization of PyTorch.
    """

    def __call__(
        self, shape: tuple[int, ...], dtype: tf.DType | None = None, **_: Any
    ) -> tf.Tensor:
        """A kernel `[height, width, channels, filters]`."""
        height, width, channels, filters = shape
        uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")(shape, dtype)
        identity = np.zeros(shape)
        identity[height // 2, width // 2] = np.eye(channels, filters)
        return tf.where(tf.range(filters) < channels, tf.cast(identity, uniform.dtype), uniform)


class Whitening(keras.layers.Layer):
    """A convolution whose outputs are uncorrelated and have a variance of 1, with a bias.

    The kernel is not trained. Without a sample it is that of white noise, so that each filter
    copies a pixel.

    Input shape: `[B, H, W, C]`. Output shape: `[B, H - 1, W - 1, 8 * C]`.
    """

    def __init__(
        self, sample: Callable[[int], Iterator[NDArray[np.float32]]] | None, name: str | None = None
    ):
        """Creates the layer.

        Args:
          sample: images to whiten; see `Context`.
          name: of the layer.
        """
        super().__init__(name=name)
        self._sample = sample

    def build(self, input_shape: tf.TensorShape) -> None:
        """Computes the kernel, and creates it and the bias."""
        size = _PATCH * _PATCH * input_shape[-1]
        covariance = np.eye(size)
        if self._sample is not None:
            covariance = patch_covariance(self._sample(_SAMPLE))
        filters = whitening_filters(covariance)
        kernel = filters.reshape(_PATCH, _PATCH, input_shape[-1], 2 * size)
        self.kernel = self.add_weight(
            "kernel", kernel.shape, initializer=lambda *_, **__: kernel, trainable=False
        )
        self.bias = self.add_weight("bias", [2 * size], initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolves `[B, H, W, C]` without padding."""
        return tf.nn.bias_add(tf.nn.conv2d(inputs, self.kernel, 1, "VALID"), self.bias)


def patch_covariance(images: Iterator[NDArray[np.float32]]) -> NDArray[np.float64]:
    """The mean of p pᵀ over all 2x2 patches p of images, without subtracting their mean.

    Args:
      images: in parts `[n, H, W, C]`, one at least.

    Returns:
      `[4 * C, 4 * C]`; a patch is flattened from `[2, 2, C]`.
    """
    products, count = np.zeros(()), 0
    for part in images:
        windows = np.lib.stride_tricks.sliding_window_view(part, (_PATCH, _PATCH), axis=(1, 2))
        # [n, H - 1, W - 1, C, 2, 2]
        patches = np.moveaxis(windows, 3, 5).reshape(-1, _PATCH * _PATCH * part.shape[-1])
        products = products + np.float64(patches.T @ patches)
        count += len(patches)
    return products / count


def whitening_filters(covariance: NDArray[np.float64]) -> NDArray[np.float32]:
    """Filters v / √(λ + ε) and their negatives, for each eigenvector v with eigenvalue λ.

    Args:
      covariance: `[n, n]`.

    Returns:
      `[n, 2n]`, one filter per column.
    """
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    filters = eigenvectors / np.sqrt(eigenvalues + _EPSILON)
    return np.concatenate([filters, -filters], axis=1).astype(np.float32)

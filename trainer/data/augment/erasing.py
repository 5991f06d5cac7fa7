"""Augmentations that remove a part of the image."""

from trainer.compat.keras import tf
from trainer.config.augment import Cutout
from trainer.data.augment.pixels import inside
from trainer.data.augment.random import Draws


def cutout(config: Cutout, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Fills a square of each image `[B, H, W, C]` uint8 around a random pixel."""
    height, width, channels = images.shape[1:]
    top = draws.integers(0, height) - config.size // 2
    left = draws.integers(1, width) - config.size // 2
    rows = inside(top, top + config.size, height)
    columns = tf.repeat(inside(left, left + config.size, width), channels, axis=1)
    # Bits of words are many times faster than `tf.where` with a broadcast mask.
    values = _words(tf.reshape(images, [-1, height, width * channels]))
    fill = _words(tf.fill([width * channels], tf.constant(config.fill, tf.uint8)))
    columns = _words(_bits(columns, tf.uint8))
    erased = tf.bitwise.bitwise_and(_bits(rows, values.dtype)[:, :, None], columns[:, None])
    changed = tf.bitwise.bitwise_and(tf.bitwise.bitwise_xor(values, fill), erased)
    result = tf.bitcast(tf.bitwise.bitwise_xor(values, changed), tf.uint8)
    return tf.ensure_shape(tf.reshape(result, tf.shape(images)), images.shape)


def _bits(mask: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """All bits of an element are set where the mask is True."""
    return tf.cast(mask, dtype) * tf.constant(dtype.max if dtype.min == 0 else -1, dtype)


def _words(values: tf.Tensor) -> tf.Tensor:
    """The bytes of each row, four in an int32 `[..., n / 4]` if their number allows it."""
    size = values.shape[-1]
    if size % 4:
        return values
    words = tf.reshape(values, tf.concat([tf.shape(values)[:-1], [size // 4, 4]], 0))
    return tf.bitcast(words, tf.int32)

"""Rounding to pixels, and boxes of pixels."""

from trainer.compat.keras import tf


def to_pixels(values: tf.Tensor) -> tf.Tensor:
    """The nearest uint8 of each float32 value; below 0 it is 0, above 255 it is 255."""
    return tf.cast(tf.clip_by_value(values, 0.0, 255.0) + 0.5, tf.uint8)


def inside(first: tf.Tensor, last: tf.Tensor, size: int) -> tf.Tensor:
    """True for pixels first ≤ i < last of a row or column of `size` pixels, `[B, size]`."""
    pixels = tf.range(size, dtype=first.dtype)
    return (pixels >= first[:, None]) & (pixels < last[:, None])

"""Augmentations that move pixels."""

import functools
import math

from trainer.compat.keras import tf
from trainer.config.augment import RandomCrop, RandomFlip, RandomResizedCrop
from trainer.data.augment.groups import apply_by_group
from trainer.data.augment.pixels import to_pixels
from trainer.data.augment.random import Draws

# Gray, as in the reference code of AutoAugment.
_FILL = 128.0


def crop(config: RandomCrop, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """A random window of the original size from each padded image `[B, H, W, C]`."""
    padding, mode = config.padding, config.mode
    height, width = images.shape[1], images.shape[2]
    padded = _pad(_pad(images, padding, mode, axis=1), padding, mode, axis=2)
    top, left = draws.integers(0, 2 * padding + 1), draws.integers(1, 2 * padding + 1)
    rows = tf.gather(padded, top[:, None] + tf.range(height), axis=1, batch_dims=1)
    # Slices copy whole rows, several times faster than a gather of pixels.
    windows = [functools.partial(_columns, first, width) for first in range(2 * padding + 1)]
    return apply_by_group(windows, left, rows)


def flip(config: RandomFlip, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Mirrors images `[B, H, W, C]` horizontally, at random or in every second epoch."""
    if config.alternating:
        first = tf.cast(draws.uniform_of_example(0) < 0.5, tf.int64)
        flipped = (first + draws.selection.epochs) % 2
    else:
        flipped = draws.uniform(0) < config.probability
    # Faster than to mirror all images and to select.
    return apply_by_group([tf.identity, _mirror], tf.cast(flipped, tf.int32), images)


def random_resized_crop(config: RandomResizedCrop, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """A random window of each image `[B, H, W, C]`, resized to `[H, W]` bilinearly.

    The fraction of the area is uniform. The logarithm of the aspect ratio is uniform among the
    ratios for which a window of this area fits into the image.
    """
    height, width = images.shape[1], images.shape[2]
    area = config.min_area + draws.uniform(0) * (config.max_area - config.min_area)
    low = tf.maximum(math.log(config.min_aspect), tf.math.log(area * (width / height)))
    high = tf.minimum(math.log(config.max_aspect), tf.math.log(width / height / area))
    aspect = tf.exp(low + draws.uniform(1) * tf.maximum(high - low, 0.0))
    rows = _length(tf.sqrt(area * (height * width) / aspect), height)
    columns = _length(tf.sqrt(area * (height * width) * aspect), width)
    top = draws.integers(2, height + 1 - rows)
    left = draws.integers(3, width + 1 - columns)
    # `crop_and_resize` expects the centers of the first and last pixel, in units of size − 1.
    boxes = tf.stack([top, left, top + rows - 1, left + columns - 1], axis=1)
    scale = [max(height - 1, 1), max(width - 1, 1)] * 2
    resized = tf.image.crop_and_resize(
        images,
        tf.cast(boxes, tf.float32) / tf.constant(scale, tf.float32),
        tf.range(tf.size(top)),
        [height, width],
    )
    return to_pixels(resized)


def rotate(images: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    """Rotates images `[B, H, W, C]` counterclockwise around their centers."""
    angle = degrees * (math.pi / 180)
    cosine, sine = tf.cos(angle), tf.sin(angle)
    x, y = (images.shape[2] - 1) / 2, (images.shape[1] - 1) / 2
    return _transform(
        images,
        [cosine, -sine, x - cosine * x + sine * y],
        [sine, cosine, y - sine * x - cosine * y],
    )


def shear_x(images: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
    """Shifts row y of images `[B, H, W, C]` to the left by slope · y."""
    return _transform(images, [1.0, slopes, 0.0], [0.0, 1.0, 0.0])


def shear_y(images: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
    """Shifts column x of images `[B, H, W, C]` upwards by slope · x."""
    return _transform(images, [1.0, 0.0, 0.0], [slopes, 1.0, 0.0])


def translate_x(images: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """Shifts images `[B, H, W, C]` to the left."""
    return _transform(images, [1.0, 0.0, pixels], [0.0, 1.0, 0.0])


def translate_y(images: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """Shifts images `[B, H, W, C]` upwards."""
    return _transform(images, [1.0, 0.0, 0.0], [0.0, 1.0, pixels])


def _transform(
    images: tf.Tensor, x: list[float | tf.Tensor], y: list[float | tf.Tensor]
) -> tf.Tensor:
    """Pixel (x, y) of the result is the nearest to (x₀x + x₁y + x₂, y₀x + y₁y + y₂)."""
    batch = tf.shape(images)[0]
    rows = [tf.broadcast_to(value, [batch]) for value in (*x, *y, 0.0, 0.0)]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack(rows, axis=1),
        output_shape=images.shape[1:3],
        fill_value=_FILL,
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )


def _pad(images: tf.Tensor, padding: int, mode: str, axis: int) -> tf.Tensor:
    # `tf.pad` takes three times as long.
    if mode == "constant":
        shape = tf.tensor_scatter_nd_update(tf.shape(images), [[axis]], [padding])
        before = after = tf.zeros(shape, images.dtype)
    else:
        last = images.shape[axis] - 1
        before = tf.gather(images, tf.range(padding, 0, -1), axis=axis)
        after = tf.gather(images, tf.range(last - 1, last - 1 - padding, -1), axis=axis)
    return tf.concat([before, images, after], axis)


def _columns(first: int, width: int, images: tf.Tensor) -> tf.Tensor:
    return images[:, :, first : first + width]


def _mirror(images: tf.Tensor) -> tf.Tensor:
    return tf.reverse(images, axis=[2])


def _length(value: tf.Tensor, limit: int) -> tf.Tensor:
    return tf.clip_by_value(tf.cast(tf.round(value), tf.int32), 1, limit)

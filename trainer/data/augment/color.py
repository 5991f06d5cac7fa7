"""Augmentations that change the values of pixels, on images `[B, H, W, C]` uint8, C = 1 or 3.

The operations follow Pillow's ImageEnhance and ImageOps, which AutoAugment is defined by
(Cubuk et al., 2019, arXiv:1805.09501).
"""

from trainer.compat.keras import tf
from trainer.config.augment import ColorJitter
from trainer.data.augment.pixels import to_pixels
from trainer.data.augment.random import Draws

# ITU-R BT.601.
_LUMINANCE = (0.299, 0.587, 0.114)
_LEVELS = 256


def color_jitter(config: ColorJitter, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Random brightness, contrast, saturation and hue of each image, in this order."""
    enhancements = (
        (config.brightness, brightness),
        (config.contrast, contrast),
        (config.saturation, color),
    )
    for number, (strength, enhance) in enumerate(enhancements):
        if strength:
            images = enhance(images, 1 + strength * (2 * draws.uniform(number) - 1))
    return shift_hue(images, config.hue * (2 * draws.uniform(3) - 1)) if config.hue else images


def brightness(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Multiplies the values; 0 gives black."""
    return _enhance(images, tf.zeros([], tf.float32), factors)


def contrast(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Multiplies the distance to the image's mean luminance; 0 gives gray."""
    mean = tf.reduce_mean(_luminance(tf.cast(images, tf.float32)), axis=[1, 2], keepdims=True)
    return _enhance(images, mean, factors)


def color(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Multiplies the distance to each pixel's luminance; 0 gives a grayscale image."""
    return _enhance(images, _luminance(tf.cast(images, tf.float32)), factors)


def sharpness(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Multiplies the distance to the smoothed image; 0 gives that, and edges are kept."""
    if min(images.shape[1:3]) < 3:
        return images
    values = tf.cast(images, tf.float32)
    # The sum of the 3 × 3 neighbors and 4 times the center, over 13.
    rows = values[:, :-2] + values[:, 1:-1] + values[:, 2:]
    box = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    center = values[:, 1:-1, 1:-1]
    inner = _enhance(images[:, 1:-1, 1:-1], (box + 4 * center) / 13, factors)
    middle = tf.concat([images[:, 1:-1, :1], inner, images[:, 1:-1, -1:]], axis=2)
    return tf.concat([images[:, :1], middle, images[:, -1:]], axis=1)


def shift_hue(images: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
    """Rotates the hue of RGB images."""
    hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(tf.cast(images, tf.float32)), axis=3)
    shifted = tf.math.floormod(hue + turns[:, None, None], 1.0)
    return to_pixels(tf.image.hsv_to_rgb(tf.stack([shifted, saturation, value], axis=3)))


def invert(images: tf.Tensor) -> tf.Tensor:
    """255 − x."""
    return tf.constant(255, tf.uint8) - images


def solarize(images: tf.Tensor, thresholds: tf.Tensor) -> tf.Tensor:
    """Inverts values of at least the threshold, float32 `[B]`."""
    keeps = tf.cast(images, tf.float32) < thresholds[:, None, None, None]
    return tf.where(keeps, images, invert(images))


def posterize(images: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Keeps the highest `bits`, int32 `[B]` in [0, 8]."""
    masks = _LEVELS - tf.bitwise.left_shift(1, 8 - bits)
    return tf.bitwise.bitwise_and(images, tf.cast(masks, tf.uint8)[:, None, None, None])


def autocontrast(images: tf.Tensor) -> tf.Tensor:
    """Maps the smallest value of each channel to 0 and the largest to 255."""
    values = tf.cast(images, tf.float32)
    low = tf.reduce_min(values, axis=[1, 2], keepdims=True)
    span = tf.reduce_max(values, axis=[1, 2], keepdims=True) - low
    stretched = to_pixels((values - low) * tf.math.divide_no_nan(255.0, span))
    return tf.where(span > 0, stretched, images)


def equalize(images: tf.Tensor) -> tf.Tensor:
    """Gives each channel a histogram that is as flat as possible."""
    batch, channels = tf.shape(images)[0], images.shape[3]
    histogram = tf.range(batch * channels)
    # Level of each pixel in the histograms of all images and channels, one after the other.
    entries = tf.cast(images, tf.int32) + _LEVELS * tf.reshape(histogram, [batch, 1, 1, channels])
    size = batch * channels * _LEVELS
    flat = tf.reshape(entries, [-1])
    counts = tf.math.unsorted_segment_sum(tf.ones_like(flat), flat, size)
    counts = tf.reshape(counts, [batch * channels, _LEVELS])
    # The step is the mean number of pixels per level, without those of the last level in use.
    largest = tf.reshape(tf.reduce_max(images, axis=[1, 2]), [-1])
    step = tf.reduce_sum(counts, 1) - tf.gather(counts, tf.cast(largest, tf.int32), batch_dims=1)
    step = (step // 255)[:, None]
    below = tf.cumsum(counts, axis=1, exclusive=True)
    table = tf.minimum((below + step // 2) // tf.maximum(step, 1), 255)
    table = tf.where(step > 0, table, tf.range(_LEVELS))
    return tf.cast(tf.gather(tf.reshape(table, [size]), entries), tf.uint8)


def _enhance(images: tf.Tensor, degenerate: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Degenerate + factor · (image − degenerate), for factors float32 `[B]`."""
    values = tf.cast(images, tf.float32)
    return to_pixels(degenerate + factors[:, None, None, None] * (values - degenerate))


def _luminance(values: tf.Tensor) -> tf.Tensor:
    """Luminance float32 `[B, H, W, 1]`."""
    if values.shape[3] == 1:
        return values
    return tf.reduce_sum(values * tf.constant(_LUMINANCE), axis=3, keepdims=True)

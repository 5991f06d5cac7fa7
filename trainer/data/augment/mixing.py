"""Augmentations that mix each example with another one, and their targets.

Both mixed images are a mean with the weights m `[H, W]`: mixup has the same weight λ at every
pixel, CutMix has 0 in a box and 1 outside. The target is mixed with the mean of m.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.augment import Augmentation, CutMix, Mixing, MixUp
from trainer.data.augment.pixels import inside, to_pixels
from trainer.data.augment.random import Draws
from trainer.data.pipelines.order import Selection

# From images `[B, H, W, C]` uint8 and their targets, those of their partners, and the selection, to
# mixed images and targets float32 `[B, C]`, where class numbers become probabilities.
Mix = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, Selection], tuple[tf.Tensor, tf.Tensor]]

_QUANTILES = 4096


def make_mix(sections: Sequence[Augmentation], seed: int, classes: int) -> Mix | None:
    """A function that mixes a batch with its partners; None without mixing sections.

    Each example draws one of the sections, each with equal probability, and is then mixed with
    the probability of that section.
    """
    numbered = [(n, section) for n, section in enumerate(sections) if isinstance(section, Mixing)]
    if not numbered:
        return None
    tables = [beta_quantiles(section.alpha) for _, section in numbered]

    # See `make_augment`.
    @tf.autograph.experimental.do_not_convert
    def mix(
        images: tf.Tensor,
        labels: tf.Tensor,
        partners: tf.Tensor,
        partner_labels: tf.Tensor,
        selection: Selection,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        height, width = images.shape[1:3]
        chosen = Draws(seed, numbered[0][0], selection).integers(4, len(numbered))
        weights = tf.ones([1, height, width])
        for choice, ((number, section), table) in enumerate(zip(numbered, tables, strict=True)):
            draws = Draws(seed, number, selection)
            mixes = (chosen == choice) & (draws.uniform(0) < section.probability)
            lam = tf.gather(table, draws.integers(1, _QUANTILES))
            mixed = pixel_weights(section, lam, draws, height, width)
            weights = tf.where(mixes[:, None, None], mixed, weights)
        lam = tf.reduce_mean(weights, axis=[1, 2])[:, None]
        targets = lam * _dense(labels, classes) + (1 - lam) * _dense(partner_labels, classes)
        return _mean(images, partners, weights[..., None]), targets

    return mix


def pixel_weights(
    section: MixUp | CutMix, lam: tf.Tensor, draws: Draws, height: int, width: int
) -> tf.Tensor:
    """The weights of an image's own pixels, float32 `[B, H, W]`.

    CutMix takes a box of the area 1 − λ around a random pixel from the partner; it is cut off at
    the edges of the image.
    """
    if isinstance(section, MixUp):
        return tf.broadcast_to(lam[:, None, None], [tf.size(lam), height, width])
    side = tf.sqrt(1 - lam)
    rows = _around(draws.integers(2, height), side * height, height)
    columns = _around(draws.integers(3, width), side * width, width)
    return 1 - tf.cast(rows[:, :, None] & columns[:, None, :], tf.float32)


def beta_quantiles(alpha: float) -> NDArray[np.float32]:
    """Quantiles of Beta(α, α) at the 4096 centers of equal parts of [0, 1], by bisection."""
    with tf.device("/cpu:0"):
        levels = (tf.range(_QUANTILES, dtype=tf.float64) + 0.5) / _QUANTILES
        a = tf.fill([_QUANTILES], tf.constant(alpha, tf.float64))
        low, high = tf.zeros_like(a), tf.ones_like(a)
        for _ in range(30):
            middle = (low + high) / 2
            above = tf.math.betainc(a, a, middle) > levels
            low, high = tf.where(above, low, middle), tf.where(above, middle, high)
    return ((low + high) / 2).numpy().astype(np.float32)


def _dense(targets: tf.Tensor, classes: int) -> tf.Tensor:
    """Targets float32 `[B, C]`; those of several labels and of regressions are already."""
    return tf.one_hot(targets, classes) if targets.shape.rank == 1 else targets


def _around(center: tf.Tensor, length: tf.Tensor, size: int) -> tf.Tensor:
    half = tf.cast(length / 2, tf.int32)
    return inside(center - half, center + half, size)


def _mean(images: tf.Tensor, partners: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    own, other = tf.cast(images, tf.float32), tf.cast(partners, tf.float32)
    return to_pixels(other + weights * (own - other))

"""Augmentation of image batches, a pure function of (seed, position in the sequence).

A resumed run, another number of devices or another batch size sees the same images.
To add one: a section in `trainer.config.augment` and a row in `AUGMENTATIONS`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.compat.keras import tf
from trainer.config.augment import Augmentation, RandomCrop, RandomFlip
from trainer.errors import UserError

# From (section, images, draw) to images; `draw(n)` is a uniform number in [0, 1) per image.
Draw = Callable[[int], tf.Tensor]


def crop(config: RandomCrop, images: tf.Tensor, draw: Draw) -> tf.Tensor:
    """A random window of the original size from each zero-padded image `[B, H, W, C]`."""
    pad = config.padding
    height, width = images.shape[1], images.shape[2]
    padded = tf.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    top = tf.cast(draw(0) * (2 * pad + 1), tf.int32)
    left = tf.cast(draw(1) * (2 * pad + 1), tf.int32)
    rows = tf.gather(padded, top[:, None] + tf.range(height), axis=1, batch_dims=1)
    return tf.gather(rows, left[:, None] + tf.range(width), axis=2, batch_dims=1)


def flip(config: RandomFlip, images: tf.Tensor, draw: Draw) -> tf.Tensor:
    """Mirrors images `[B, H, W, C]` horizontally with the given probability."""
    flipped = draw(0) < config.probability
    return tf.where(flipped[:, None, None, None], tf.reverse(images, axis=[2]), images)


AUGMENTATIONS: Mapping[str, Callable[[Any, tf.Tensor, Draw], tf.Tensor]] = {
    "crop": crop,
    "flip": flip,
}


def make_augment(
    sections: Sequence[Augmentation], seed: int, input_shape: tuple[int, ...]
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None:
    """A function of features `[B, H, W, C]` and positions `[B]`; None without augmentations.

    Raises:
      UserError: if the examples are not images.
    """
    if not sections:
        return None
    if len(input_shape) != 3:
        raise UserError(
            f"augment applies to images only; leave it empty for examples of shape {input_shape}"
        )

    def augment(images: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        for number, section in enumerate(sections):
            draw = functools.partial(_uniform, seed, positions, number)
            images = AUGMENTATIONS[section.kind](section, images, draw)
        return images

    return augment


def _uniform(seed: int, positions: tf.Tensor, augmentation: int, draw: int) -> tf.Tensor:
    """A number in [0, 1) per position, float32 `[B]`.

    Source: the SplitMix64 generator (Steele, Lea and Flood, 2014), used as a hash.
    """
    stream = (seed << 16) + (augmentation << 8) + draw
    state = _mix(tf.constant(stream % 2**64, tf.uint64)) + tf.cast(positions, tf.uint64)
    # float32 holds 24 bits exactly.
    bits = tf.bitwise.right_shift(_mix(state), tf.constant(40, tf.uint64))
    return tf.cast(bits, tf.float32) / 2.0**24


def _mix(state: tf.Tensor) -> tf.Tensor:
    state += tf.constant(0x9E3779B97F4A7C15, tf.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = _xor_shift(state, shift) * tf.constant(factor, tf.uint64)
    return _xor_shift(state, 31)


def _xor_shift(state: tf.Tensor, shift: int) -> tf.Tensor:
    shifted = tf.bitwise.right_shift(state, tf.constant(shift, tf.uint64))
    return tf.bitwise.bitwise_xor(state, shifted)

"""Augmentations by their `kind`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.compat.keras import tf
from trainer.config.augment import (
    Augmentation,
    ColorJitter,
    Mixing,
    RandAugment,
    RandomCrop,
    RandomFlip,
)
from trainer.data.augment.color import color_jitter
from trainer.data.augment.erasing import cutout
from trainer.data.augment.geometric import crop, flip, random_resized_crop
from trainer.data.augment.rand_augment import rand_augment
from trainer.data.augment.random import Draws
from trainer.data.pipelines.order import Selection
from trainer.errors import UserError

# From images `[B, H, W, C]` and their selection to images.
Augment = Callable[[tf.Tensor, Selection], tf.Tensor]

# From (section, images, draws) to images; `mixing` has those that need two images.
AUGMENTATIONS: Mapping[str, Callable[[Any, tf.Tensor, Draws], tf.Tensor]] = {
    "crop": crop,
    "flip": flip,
    "cutout": cutout,
    "random_resized_crop": random_resized_crop,
    "color_jitter": color_jitter,
    "rand_augment": rand_augment,
}


def make_augment(
    sections: Sequence[Augmentation], seed: int, input_shape: tuple[int, ...]
) -> Augment | None:
    """The augmentations of single images in sequence; None without augmentations.

    Raises:
      UserError: if the examples are not images, or an augmentation does not fit them.
    """
    if not sections:
        return None
    if len(input_shape) != 3:
        raise UserError(
            f"augment applies to images only; leave it empty for examples of shape {input_shape}"
        )
    for section in sections:
        _check(section, input_shape)

    # Converting Python to graphs would take seconds, and nothing here needs it.
    @tf.autograph.experimental.do_not_convert
    def augment(images: tf.Tensor, selection: Selection) -> tf.Tensor:
        for number, section in enumerate(sections):
            if not isinstance(section, RandomCrop | RandomFlip) and images.dtype != tf.uint8:
                raise UserError(
                    f"{section.kind} needs images stored as uint8; remove it from augment. "
                    f"Received: {images.dtype.name}"
                )
            if not isinstance(section, Mixing):
                draws = Draws(seed, number, selection)
                images = AUGMENTATIONS[section.kind](section, images, draws)
        return images

    return augment


def _check(section: Augmentation, shape: tuple[int, ...]) -> None:
    height, width, channels = shape
    if isinstance(section, RandomCrop) and section.mode == "reflect":
        if section.padding >= min(height, width):
            raise UserError(
                f"crop: padding must be below the image's height and width ({height}, {width}) "
                f"if mode is reflect. Received: {section.padding}"
            )
    elif isinstance(section, ColorJitter | RandAugment) and channels not in (1, 3):
        raise UserError(
            f"{section.kind} needs images with 1 or 3 channels; remove it from augment. "
            f"Received: {channels}"
        )
    elif isinstance(section, ColorJitter) and channels == 1 and (section.saturation or section.hue):
        raise UserError(
            "color_jitter: saturation and hue must be 0 for grayscale images. "
            f"Received: {section.saturation:g} and {section.hue:g}"
        )

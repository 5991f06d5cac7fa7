"""The `augment` section: a sequence of augmentations, applied in order."""

import dataclasses
import itertools
from collections.abc import Sequence

from trainer.config.fields import ConfigBase, field
from trainer.errors import UserError

# The operations of RandAugment, table 6 of the paper; `invert` is from AutoAugment.
_RAND_AUGMENT = (
    "identity",
    "autocontrast",
    "equalize",
    "rotate",
    "solarize",
    "color",
    "posterize",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
RAND_AUGMENT_OPERATIONS = (*_RAND_AUGMENT, "invert")


@dataclasses.dataclass(frozen=True)
class RandomCrop(ConfigBase):
    """A random crop of the original size from the padded image (Krizhevsky, 2009)."""

    kind: str = field("crop", "Augmentation.", choices=("crop",))
    padding: int = field(4, "Padding on each side, pixels.", minimum=1)
    mode: str = field(
        "constant",
        "Content of the padding: zeros, or the image reflected at its edges.",
        choices=("constant", "reflect"),
    )


@dataclasses.dataclass(frozen=True)
class RandomFlip(ConfigBase):
    """A horizontal flip, random or alternating (Jordan, 2024, arXiv:2404.00498)."""

    kind: str = field("flip", "Augmentation.", choices=("flip",))
    probability: float = field(0.5, "Probability of a flip.", minimum=0.0, maximum=1.0)
    alternating: bool = field(
        False, "Random in the first epoch only; later epochs alternate the flip of each example."
    )

    def validate(self) -> None:
        """Alternating flips mirror every second epoch."""
        if self.alternating and self.probability != 0.5:
            raise UserError(
                "probability must be 0.5 if flips are alternating. "
                f"Received: {self.probability}; remove it, or set alternating=False"
            )


@dataclasses.dataclass(frozen=True)
class Cutout(ConfigBase):
    """Erases a square at a random place (DeVries and Taylor, 2017, arXiv:1708.04552)."""

    kind: str = field("cutout", "Augmentation.", choices=("cutout",))
    size: int = field(
        8, "Side of the square, pixels; parts outside the image are cut off.", minimum=1
    )
    fill: int = field(
        128, "Value of erased pixels; 128 is near the mean of photographs.", minimum=0, maximum=255
    )


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop(ConfigBase):
    """A window of random area and aspect ratio, resized (Szegedy et al., 2015, arXiv:1409.4842)."""

    kind: str = field("random_resized_crop", "Augmentation.", choices=("random_resized_crop",))
    min_area: float = field(
        0.08, "Smallest area of the window, fraction of the image.", above=0.0, maximum=1.0
    )
    max_area: float = field(
        1.0, "Largest area of the window, fraction of the image.", above=0.0, maximum=1.0
    )
    min_aspect: float = field(0.75, "Smallest ratio of width to height, pixels.", above=0.0)
    max_aspect: float = field(4 / 3, "Largest ratio of width to height, pixels.", above=0.0)

    def validate(self) -> None:
        """Ranges must not be empty."""
        for name in ("area", "aspect"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low > high:
                raise UserError(f"min_{name} must be <= max_{name} ({high:g}). Received: {low:g}")


@dataclasses.dataclass(frozen=True)
class ColorJitter(ConfigBase):
    """Random brightness, contrast, saturation and hue (Howard, 2013, arXiv:1312.5402)."""

    kind: str = field("color_jitter", "Augmentation.", choices=("color_jitter",))
    brightness: float = field(0.4, "Factors are in [1 - x, 1 + x].", minimum=0.0, maximum=1.0)
    contrast: float = field(0.4, "Factors are in [1 - x, 1 + x].", minimum=0.0, maximum=1.0)
    saturation: float = field(
        0.4, "Factors are in [1 - x, 1 + x]; 0 for grayscale images.", minimum=0.0, maximum=1.0
    )
    hue: float = field(
        0.0, "Shifts are in [-x, x], turns; 0 for grayscale images.", minimum=0.0, maximum=0.5
    )


@dataclasses.dataclass(frozen=True)
class RandAugment(ConfigBase):
    """Random operations of one magnitude in sequence (Cubuk et al., 2020, arXiv:1909.13719)."""

    kind: str = field("rand_augment", "Augmentation.", choices=("rand_augment",))
    num_ops: int = field(2, "Operations applied to each image.", minimum=1, maximum=16)
    magnitude: float = field(9.0, "Strength of every operation.", minimum=0.0, maximum=10.0)
    operations: tuple[str, ...] = field(
        _RAND_AUGMENT,
        "Operations drawn from, each with equal probability.",
        choices=RAND_AUGMENT_OPERATIONS,
        non_empty=True,
    )


@dataclasses.dataclass(frozen=True)
class MixUp(ConfigBase):
    """Weighted mean of two examples and of their labels (Zhang et al., 2018, arXiv:1710.09412)."""

    kind: str = field("mixup", "Augmentation.", choices=("mixup",))
    alpha: float = field(0.2, "The weight is drawn from Beta(alpha, alpha).", above=0.0)
    probability: float = field(
        1.0, "Probability that an example is mixed.", minimum=0.0, maximum=1.0
    )


@dataclasses.dataclass(frozen=True)
class CutMix(ConfigBase):
    """A box of one example pasted into another (Yun et al., 2019, arXiv:1905.04899)."""

    kind: str = field("cutmix", "Augmentation.", choices=("cutmix",))
    alpha: float = field(
        1.0, "The kept share of the area is drawn from Beta(alpha, alpha).", above=0.0
    )
    probability: float = field(
        1.0, "Probability that an example is mixed.", minimum=0.0, maximum=1.0
    )


Mixing = MixUp | CutMix
Augmentation = (
    RandomCrop
    | RandomFlip
    | Cutout
    | RandomResizedCrop
    | ColorJitter
    | RandAugment
    | MixUp
    | CutMix
)


def check_order(sections: Sequence[Augmentation]) -> None:
    """Raises UserError if an augmentation of single images follows one that mixes two."""
    for before, after in itertools.pairwise(sections):
        if isinstance(before, Mixing) and not isinstance(after, Mixing):
            raise UserError(
                "augment must have mixup and cutmix last. "
                f"Received: {','.join(section.kind for section in sections)}"
            )

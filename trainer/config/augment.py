"""The `augment` section: a sequence of augmentations, applied in order."""

import dataclasses

from trainer.config.fields import ConfigBase, field


@dataclasses.dataclass(frozen=True)
class RandomCrop(ConfigBase):
    """A window of the original size from the zero-padded image (Krizhevsky, 2009)."""

    kind: str = field("crop", "Which augmentation.", choices=("crop",))
    padding: int = field(4, "Zeros added on each side, pixels.", minimum=1)


@dataclasses.dataclass(frozen=True)
class RandomFlip(ConfigBase):
    """A horizontal mirror image."""

    kind: str = field("flip", "Which augmentation.", choices=("flip",))
    probability: float = field(0.5, "Share of images flipped.", minimum=0.0, maximum=1.0)


Augmentation = RandomCrop | RandomFlip

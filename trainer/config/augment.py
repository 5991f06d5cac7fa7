"""The `augment` section: a sequence of augmentations, applied in order."""

import dataclasses

from trainer.config.fields import ConfigBase, field


@dataclasses.dataclass(frozen=True)
class RandomCrop(ConfigBase):
    """A random crop of the original size from the zero-padded image (Krizhevsky, 2009)."""

    kind: str = field("crop", "Augmentation.", choices=("crop",))
    padding: int = field(4, "Zero padding on each side, pixels.", minimum=1)


@dataclasses.dataclass(frozen=True)
class RandomFlip(ConfigBase):
    """A random horizontal flip."""

    kind: str = field("flip", "Augmentation.", choices=("flip",))
    probability: float = field(0.5, "Probability of a flip.", minimum=0.0, maximum=1.0)


Augmentation = RandomCrop | RandomFlip

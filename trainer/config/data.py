"""The `data` section: one dataclass per source, found by `kind`."""

import dataclasses

from trainer.config.fields import ConfigBase, field
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class _Data(ConfigBase):
    validation_fraction: float = field(
        0.1,
        "Share of examples held out to choose the best checkpoint where the source has no "
        "validation split; 0 is none.",
        minimum=0.0,
        below=1.0,
    )
    split_seed: int = field(
        0, "Which examples are held out; apart from `seed`, so that seeds compare.", minimum=0
    )
    normalize: str = field(
        "unit",
        "Feature scaling. unit: pixels to [0, 1]; half: pixels to [-1, 1] (mean 0.5, std 0.5); "
        "standard: mean 0, variance 1 by channel or column over the training split; none.",
        choices=("unit", "half", "standard", "none"),
    )


@dataclasses.dataclass(frozen=True)
class Digits(_Data):
    """scikit-learn's 1,797 handwritten digits of 8x8 grey pixels, 10 classes."""

    kind: str = field("digits", "Which source.", choices=("digits",))
    test_fraction: float = field(
        0.2, "Share of examples held out for the final test.", above=0.0, below=1.0
    )

    def validate(self) -> None:
        """Refuses held-out shares that leave nothing to train on."""
        _check_fractions(self.validation_fraction, self.test_fraction)


@dataclasses.dataclass(frozen=True)
class TFDS(_Data):
    """A TensorFlow Datasets image classification set, by name."""

    kind: str = field("tfds", "Which source.", choices=("tfds",))
    name: str = field("mnist", "The set's name, as in tfds.load.", non_empty=True)
    train_split: str = field("train", "The split to train on.", non_empty=True)
    validation_split: str = field(
        "", "The split that chooses the best checkpoint; empty: validation_fraction of train."
    )
    test_split: str = field("test", "The split for the final test.", non_empty=True)
    image_size: tuple[int, ...] = field(
        (), "Height and width to resize to, pixels; empty: as stored.", minimum=1
    )

    def validate(self) -> None:
        """Refuses a wrong image size and one split in two roles."""
        _check_image_size(self.image_size)
        splits = (self.train_split, self.validation_split, self.test_split)
        if len(set(splits)) < len(splits):
            raise UserError(
                f"train_split, validation_split and test_split must differ. Received: {splits}"
            )


@dataclasses.dataclass(frozen=True)
class ImageFolder(_Data):
    """Images in a folder a class, `path/CLASS/*.png`, or `path/train/CLASS/*.png` and so on."""

    kind: str = field("image_folder", "Which source.", choices=("image_folder",))
    path: str = field("", "The folder.")
    image_size: tuple[int, ...] = field(
        (), "Height and width to resize to, pixels; empty: all images are of one size.", minimum=1
    )
    channels: int = field(3, "1: grey, 3: colour.", minimum=1, maximum=3)
    test_fraction: float = field(
        0.2,
        "Share of examples held out for the final test where there is no folder `test`.",
        above=0.0,
        below=1.0,
    )

    def validate(self) -> None:
        """Refuses a wrong image size, two channels, and too large held-out shares."""
        _check_image_size(self.image_size)
        if self.channels == 2:
            raise UserError("channels must be 1 or 3. Received: 2")
        _check_fractions(self.validation_fraction, self.test_fraction)


@dataclasses.dataclass(frozen=True)
class CSV(_Data):
    """A table with a header: one column is the label, every other one a number."""

    kind: str = field("csv", "Which source.", choices=("csv",))
    path: str = field("", "The file with the training examples.")
    test_path: str = field("", "The file with the test examples; empty: test_fraction of path.")
    label: str = field("label", "The header of the column with the class.", non_empty=True)
    ignore: tuple[str, ...] = field((), "Headers of columns that are not features.")
    normalize: str = field(
        "standard",
        "Feature scaling. standard: mean 0, variance 1 by column over the training split; none.",
        choices=("standard", "none"),
    )
    test_fraction: float = field(
        0.2,
        "Share of rows held out for the final test where there is no test_path.",
        above=0.0,
        below=1.0,
    )

    def validate(self) -> None:
        """Refuses a label among the ignored columns and too large held-out shares."""
        if self.label in self.ignore:
            raise UserError(f"label must not be ignored. Received: {self.label!r}")
        _check_fractions(self.validation_fraction, self.test_fraction)


@dataclasses.dataclass(frozen=True)
class CustomData(_Data):
    """A user's own source: a function as in `trainer.data.sources`, from any module."""

    kind: str = field("custom", "Which source.", choices=("custom",))
    source: str = field("", "The function, `module:function`.", non_empty=True)
    path: str = field("", "What the function reads; passed on.")
    test_fraction: float = field(
        0.2,
        "Share of examples held out for the final test where the source has no test split.",
        above=0.0,
        below=1.0,
    )

    def validate(self) -> None:
        """Refuses held-out shares that leave nothing to train on."""
        _check_fractions(self.validation_fraction, self.test_fraction)


Data = Digits | TFDS | ImageFolder | CSV | CustomData


def _check_image_size(image_size: tuple[int, ...]) -> None:
    if len(image_size) not in (0, 2):
        raise UserError(f"image_size must be (height, width) or (). Received: {image_size!r}")


def _check_fractions(validation_fraction: float, test_fraction: float) -> None:
    if validation_fraction + test_fraction >= 1:
        raise UserError(
            "validation_fraction and test_fraction must leave something to train on. "
            f"Received: {validation_fraction} + {test_fraction}"
        )

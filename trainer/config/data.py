"""The `data` section: one dataclass per source, selected by `kind`."""

import dataclasses

from trainer.config.fields import SEEDS, ConfigBase, field
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class _Data(ConfigBase):
    validation_fraction: float = field(
        0.1,
        "Fraction of the training examples held out for validation if the source has no "
        "validation split; 0 disables it.",
        minimum=0.0,
        below=1.0,
    )
    split_seed: int = field(
        0,
        "Seed of the split; independent of `seed`, so that runs with other seeds are comparable.",
        minimum=0,
        below=SEEDS,
    )
    normalize: str = field(
        "unit",
        "Feature scaling. unit: pixels to [0, 1]; half: pixels to [-1, 1] (mean 0.5, std 0.5); "
        "standard: mean 0, variance 1 per channel or column of the training split; none.",
        choices=("unit", "half", "standard", "none"),
    )


@dataclasses.dataclass(frozen=True)
class Digits(_Data):
    """scikit-learn's 1,797 handwritten digits of 8x8 gray pixels, 10 classes."""

    kind: str = field("digits", "Data source.", choices=("digits",))
    test_fraction: float = field(
        0.2, "Fraction of examples held out for the final test.", above=0.0, below=1.0
    )

    def validate(self) -> None:
        """Checks that the held-out fractions leave training examples."""
        _check_fractions(self.validation_fraction, self.test_fraction)


@dataclasses.dataclass(frozen=True)
class TFDS(_Data):
    """An image classification dataset of TensorFlow Datasets."""

    kind: str = field("tfds", "Data source.", choices=("tfds",))
    name: str = field("mnist", "Name of the dataset, as in tfds.load.", non_empty=True)
    train_split: str = field("train", "Training split.", non_empty=True)
    validation_split: str = field(
        "", "Validation split; empty: validation_fraction of the training split."
    )
    test_split: str = field("test", "Test split.", non_empty=True)
    image_size: tuple[int, ...] = field(
        (), "Height and width to resize to, pixels; empty: do not resize.", minimum=1
    )

    def validate(self) -> None:
        """Checks the image size and that the splits differ."""
        _check_image_size(self.image_size)
        splits = (self.train_split, self.validation_split, self.test_split)
        if len(set(splits)) < len(splits):
            raise UserError(
                f"train_split, validation_split and test_split must differ. Received: {splits}"
            )


@dataclasses.dataclass(frozen=True)
class ImageFolder(_Data):
    """One folder of images per class: `path/CLASS/*.png`, or `path/train/CLASS/*.png` etc."""

    kind: str = field("image_folder", "Data source.", choices=("image_folder",))
    path: str = field("", "The folder.")
    image_size: tuple[int, ...] = field(
        (), "Height and width to resize to, pixels; empty: all images have one size.", minimum=1
    )
    channels: int = field(3, "1: grayscale, 3: color.", minimum=1, maximum=3)
    test_fraction: float = field(
        0.2,
        "Fraction of examples held out for the final test if there is no folder `test`.",
        above=0.0,
        below=1.0,
    )

    def validate(self) -> None:
        """Checks the image size, the channels and the held-out fractions."""
        _check_image_size(self.image_size)
        if self.channels == 2:
            raise UserError("channels must be 1 or 3. Received: 2")
        _check_fractions(self.validation_fraction, self.test_fraction)


@dataclasses.dataclass(frozen=True)
class IDX(_Data):
    """The four IDX files of MNIST, or of a set in its form: Fashion-MNIST, KMNIST."""

    kind: str = field("idx", "Data source.", choices=("idx",))
    path: str = field("", "Folder with train-images-idx3-ubyte etc., each also with .gz.")
    class_names: tuple[str, ...] = field(
        (), "Name of each class, in the order of the labels; empty: 0, 1, …."
    )

    def validate(self) -> None:
        """Checks that no two classes have one name."""
        if len(set(self.class_names)) < len(self.class_names) or len(self.class_names) == 1:
            raise UserError(
                "class_names must be () or two or more distinct names. "
                f"Received: {self.class_names}"
            )


@dataclasses.dataclass(frozen=True)
class CSV(_Data):
    """A table with a header: a label column and numeric feature columns."""

    kind: str = field("csv", "Data source.", choices=("csv",))
    path: str = field("", "File with the training examples.")
    test_path: str = field("", "File with the test examples; empty: test_fraction of path.")
    label: str = field("label", "Header of the label column.", non_empty=True)
    ignore: tuple[str, ...] = field((), "Headers of columns that are not features.")
    normalize: str = field(
        "standard",
        "Feature scaling. standard: mean 0, variance 1 per column of the training split; none.",
        choices=("standard", "none"),
    )
    test_fraction: float = field(
        0.2,
        "Fraction of rows held out for the final test if there is no test_path.",
        above=0.0,
        below=1.0,
    )

    def validate(self) -> None:
        """Checks that the label is not ignored, and the held-out fractions."""
        if self.label in self.ignore:
            raise UserError(f"label {self.label!r} must not be in ignore")
        _check_fractions(self.validation_fraction, self.test_fraction)


@dataclasses.dataclass(frozen=True)
class CustomData(_Data):
    """A user's own source: a function as in `trainer.data.sources`, from any module."""

    kind: str = field("custom", "Data source.", choices=("custom",))
    source: str = field("", "The function, as `module:function`.", non_empty=True)
    path: str = field("", "Passed to the function.")
    test_fraction: float = field(
        0.2,
        "Fraction of examples held out for the final test if the source has no test split.",
        above=0.0,
        below=1.0,
    )

    def validate(self) -> None:
        """Checks that the held-out fractions leave training examples."""
        _check_fractions(self.validation_fraction, self.test_fraction)


Data = Digits | TFDS | ImageFolder | IDX | CSV | CustomData


def _check_image_size(image_size: tuple[int, ...]) -> None:
    if len(image_size) not in (0, 2):
        raise UserError(f"image_size must be (height, width) or (). Received: {image_size!r}")


def _check_fractions(validation_fraction: float, test_fraction: float) -> None:
    if validation_fraction + test_fraction >= 1:
        raise UserError(
            "validation_fraction + test_fraction must be < 1. "
            f"Received: {validation_fraction} + {test_fraction}"
        )

"""A supervised experiment: data set, network, optimizer, training, evaluation."""

import dataclasses

from trainer.config.fields import Section, setting
from trainer.config.sections import CNN, Adam, Cadence, Model, Optimizer
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class _Data(Section):
    validation_fraction: float = setting(
        0.1,
        "Share of examples held out to choose the best checkpoint where the source has no "
        "validation split; 0 is none.",
        minimum=0.0,
        below=1.0,
    )
    split_seed: int = setting(
        0, "Which examples are held out; apart from `seed`, so that seeds compare.", minimum=0
    )
    normalize: str = setting(
        "unit",
        "Feature scaling. unit: pixels to [0, 1]; half: pixels to [-1, 1] (mean 0.5, std 0.5); "
        "standard: mean 0, variance 1 by channel or column over the training split; none.",
        choices=("unit", "half", "standard", "none"),
    )


@dataclasses.dataclass(frozen=True)
class Digits(_Data):
    """scikit-learn's 1,797 handwritten digits of 8x8 grey pixels, 10 classes."""

    kind: str = setting("digits", "Which source.", choices=("digits",))
    test_fraction: float = setting(
        0.2, "Share of examples held out for the final test.", above=0.0, below=1.0
    )

    def validate(self) -> None:
        """Refuses held-out shares that leave nothing to train on."""
        _check_fractions(self.validation_fraction, self.test_fraction)


@dataclasses.dataclass(frozen=True)
class TFDS(_Data):
    """A TensorFlow Datasets image classification set, by name."""

    kind: str = setting("tfds", "Which source.", choices=("tfds",))
    name: str = setting("mnist", "The set's name, as in tfds.load.", non_empty=True)
    train_split: str = setting("train", "The split to train on.", non_empty=True)
    validation_split: str = setting(
        "", "The split that chooses the best checkpoint; empty: validation_fraction of train."
    )
    test_split: str = setting("test", "The split for the final test.", non_empty=True)
    image_size: tuple[int, ...] = setting(
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

    kind: str = setting("image_folder", "Which source.", choices=("image_folder",))
    path: str = setting("", "The folder.")
    image_size: tuple[int, ...] = setting(
        (), "Height and width to resize to, pixels; empty: all images are of one size.", minimum=1
    )
    channels: int = setting(3, "1: grey, 3: colour.", minimum=1, maximum=3)
    test_fraction: float = setting(
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

    kind: str = setting("csv", "Which source.", choices=("csv",))
    path: str = setting("", "The file with the training examples.")
    test_path: str = setting("", "The file with the test examples; empty: test_fraction of path.")
    label: str = setting("label", "The header of the column with the class.", non_empty=True)
    ignore: tuple[str, ...] = setting((), "Headers of columns that are not features.")
    normalize: str = setting(
        "standard",
        "Feature scaling. standard: mean 0, variance 1 by column over the training split; none.",
        choices=("standard", "none"),
    )
    test_fraction: float = setting(
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


Data = Digits | TFDS | ImageFolder | CSV


@dataclasses.dataclass(frozen=True)
class Train(Cadence):
    """How long, in which portions, and what is kept."""

    epochs: float = setting(10.0, "Passes over the training split.", above=0.0)
    steps: int = setting(0, "Updates; 0 leaves it to `epochs`.", minimum=0)
    global_batch_size: int = setting(
        128, "Examples an update, over all devices and hosts.", minimum=1
    )
    label_smoothing: float = setting(
        0.0, "Probability spread over all classes; 0 is off.", minimum=0.0, below=1.0
    )
    evaluate_every: int = setting(
        0, "Updates between two evaluations on the validation split; 0: once an epoch.", minimum=0
    )


@dataclasses.dataclass(frozen=True)
class Evaluate(Section):
    """How checkpoints are compared and which is tested."""

    batch_size: int = setting(512, "Examples a step, over all devices.", minimum=1)
    best_metric: str = setting(
        "loss", "Which validation metric chooses the best.", choices=("accuracy", "loss")
    )
    checkpoint: str = setting(
        "best",
        "Which weights are tested, evaluated and used for predictions; without a validation "
        "split best is last.",
        choices=("best", "last"),
    )
    split: str = setting(
        "test",
        "Which split the evaluation at the end looks at; validation where settings are still "
        "being chosen.",
        choices=("test", "validation"),
    )


@dataclasses.dataclass(frozen=True)
class Supervised(Section):
    """One supervised experiment; `config.json` holds exactly this."""

    task: str = setting("supervised", "Which kind of experiment.", choices=("supervised",))
    seed: int = setting(0, "Weights, order and dropout are a function of it.", minimum=0)
    data: Data = dataclasses.field(default_factory=Digits)
    model: Model = dataclasses.field(default_factory=CNN)
    optimizer: Optimizer = dataclasses.field(default_factory=Adam)
    train: Train = dataclasses.field(default_factory=Train)
    evaluate: Evaluate = dataclasses.field(default_factory=Evaluate)


def _check_image_size(image_size: tuple[int, ...]) -> None:
    if len(image_size) not in (0, 2):
        raise UserError(f"image_size must be (height, width) or (). Received: {image_size!r}")


def _check_fractions(validation_fraction: float, test_fraction: float) -> None:
    if validation_fraction + test_fraction >= 1:
        raise UserError(
            "validation_fraction and test_fraction must leave something to train on. "
            f"Received: {validation_fraction} + {test_fraction}"
        )

"""The `data` section: one dataclass per source, selected by `kind`."""

import dataclasses

from trainer.config.fields import SEEDS, ConfigBase, field
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class _Data(ConfigBase):
    """What every source has."""

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
    positive_class: str = field(
        "",
        "Of two classes, the one to detect, to which precision, recall, f1, auc_pr and the "
        "decision threshold refer: it becomes the second class; empty: the order of the source.",
    )
    stratify: bool = field(False, "Hold out the same fraction of each class.")
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
class IDX(_Data):
    """The four IDX files of MNIST, or of a set in its form: Fashion-MNIST, KMNIST."""

    kind: str = field("idx", "Data source.", choices=("idx",))
    path: str = field("", "Folder with train-images-idx3-ubyte etc., each also with .gz.")
    class_names: tuple[str, ...] = field(
        (), "Name of each class, in the order of the labels; empty: 0, 1, …."
    )

    def validate(self) -> None:
        """Checks that no two classes have one name."""
        _check_class_names(self.class_names)


@dataclasses.dataclass(frozen=True)
class _OnDisk(_Data):
    """What sources have that may be larger than memory."""

    residence: str = field(
        "auto",
        "Where examples are during training. memory: read once; disk: read from files for each "
        "batch; auto: memory if they fit.",
        choices=("auto", "memory", "disk"),
    )


@dataclasses.dataclass(frozen=True)
class TFDS(_OnDisk):
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
class _Files(_OnDisk):
    """What sources have that read a user's own files."""

    test_fraction: float = field(
        0.2,
        "Fraction of examples held out for the final test if the source has no test split.",
        above=0.0,
        below=1.0,
    )
    target: str = field(
        "auto",
        "What the network predicts. auto: classification for one target, multi_label for several "
        "targets of 0 and 1 or for lists of labels.",
        choices=("auto", "classification", "multi_label", "regression"),
    )
    on_error: str = field(
        "fail",
        "What a broken input does. fail: ends the command and is named; skip: is left out, "
        "counted, and listed in skipped.jsonl of the work directory.",
        choices=("fail", "skip"),
    )

    def validate(self) -> None:
        """Checks that the held-out fractions leave training examples."""
        _check_fractions(self.validation_fraction, self.test_fraction)


@dataclasses.dataclass(frozen=True)
class ImageFolder(_Files):
    """Image files: one folder per class, `path/CLASS/*.png`, or with a table of targets.

    There may be a folder per split: `path/train/CLASS/*.png` etc.
    """

    kind: str = field("image_folder", "Data source.", choices=("image_folder",))
    path: str = field("", "The folder.")
    image_size: tuple[int, ...] = field(
        (), "Height and width to resize to, pixels; empty: all images have one size.", minimum=1
    )
    channels: int = field(3, "1: grayscale, 3: color.", minimum=1, maximum=3)
    labels_file: str = field(
        "",
        "CSV file in the folder, with a column `file` and columns of targets; empty: the name of "
        "its folder is the class of an image.",
    )
    label: str = field("label", "Header of the target column of labels_file.", non_empty=True)
    labels: tuple[str, ...] = field((), "Headers of several target columns; empty: label.")
    group: str = field(
        "",
        "Regular expression whose first group is found in the path of an image, such as "
        "'patient(\\d+)': images in which it is equal are held out together; empty: each image "
        "on its own.",
    )
    decoded_cache: bool = field(
        False, "Keep the decoded images in a file, which takes disk space, with residence disk."
    )

    def validate(self) -> None:
        """Checks the image size, the channels and the held-out fractions."""
        super().validate()
        _check_image_size(self.image_size)
        _check_channels(self.channels)
        if not self.labels_file and self.target in ("multi_label", "regression"):
            raise UserError(
                f"target={self.target} needs labels_file, since the folder of an image is its class"
            )


@dataclasses.dataclass(frozen=True)
class TFRecord(_Files):
    """Shards of tf.train.Example records: encoded images, or columns of numbers."""

    kind: str = field("tfrecord", "Data source.", choices=("tfrecord",))
    path: str = field("", "Training shards: a file, a folder, or a pattern such as 'train-*'.")
    validation_path: str = field(
        "", "Validation shards; empty: validation_fraction of the training examples."
    )
    test_path: str = field("", "Test shards; empty: test_fraction of the training examples.")
    image: str = field(
        "image", "Feature with the encoded image, bytes; empty: the features of `columns`."
    )
    columns: tuple[str, ...] = field(
        (), "Features of one number each, float or int, if there is no image."
    )
    label: str = field(
        "label",
        "Feature with the target: a class number (int), a class name (bytes), a list of either "
        "(multi_label), or numbers (regression).",
        non_empty=True,
    )
    class_names: tuple[str, ...] = field(
        (), "Name of each class, in the order of the class numbers; empty: 0, 1, …."
    )
    image_size: tuple[int, ...] = field(
        (), "Height and width to resize to, pixels; empty: all images have one size.", minimum=1
    )
    channels: int = field(3, "1: grayscale, 3: color.", minimum=1, maximum=3)
    decoded_cache: bool = field(
        False, "Keep the decoded images in a file, which takes disk space, with residence disk."
    )

    def validate(self) -> None:
        """Checks image and columns, the class names, the image size and the fractions."""
        super().validate()
        _check_class_names(self.class_names)
        _check_image_size(self.image_size)
        _check_channels(self.channels)
        if bool(self.image) == bool(self.columns):
            raise UserError(
                "either image or columns must be set. "
                f"Received: image={self.image!r}, columns={self.columns!r}"
            )
        if self.decoded_cache and not self.image:
            raise UserError("decoded_cache needs image. Received: columns")


@dataclasses.dataclass(frozen=True)
class _Table(_Files):
    """A table with one or several target columns; every other column is a feature."""

    path: str = field("", "File with the training examples.")
    test_path: str = field("", "File with the test examples; empty: test_fraction of path.")
    label: str = field("label", "Name of the target column.", non_empty=True)
    labels: tuple[str, ...] = field((), "Names of several target columns; empty: label.")
    label_separator: str = field(
        ";", "Character between the labels of a cell, with target multi_label and one column."
    )
    ignore: tuple[str, ...] = field((), "Names of columns that are not features.")
    types: tuple[str, ...] = field(
        (),
        "Types that should not be inferred, as COLUMN=TYPE, where TYPE is numeric, categorical, "
        "boolean or date.",
    )
    categories: str = field(
        "auto",
        "How a categorical column enters the network. one_hot; embedding: a learned vector per "
        "category; auto: one_hot up to 32 categories, embedding above.",
        choices=("auto", "one_hot", "embedding"),
    )
    min_category_rows: int = field(
        2,
        "Rows of the training split that a category needs; rarer ones, and those that the "
        "training split does not have, are one category `other`.",
        minimum=1,
    )
    group: str = field(
        "",
        "Name of a column, not a feature then: rows in which it is equal are held out together, "
        "such as those of one patient; empty: each row on its own.",
    )
    time: str = field(
        "",
        "Name of a column of numbers or dates, not a feature then: the last rows are the test "
        "split, those before them the validation split; empty: rows are held out at random.",
    )
    normalize: str = field(
        "standard",
        "Feature scaling. standard: mean 0, variance 1 per column of the training split; none.",
        choices=("standard", "none"),
    )

    def validate(self) -> None:
        """Checks that no column has two purposes, and the held-out fractions."""
        super().validate()
        targets = self.labels or (self.label,)
        for name in targets:
            if name in self.ignore:
                raise UserError(f"label {name!r} must not be in ignore")
            if name in (self.group, self.time):
                raise UserError(f"label {name!r} must not be group or time")
        if self.group and self.time:
            raise UserError(f"set group or time. Received: {self.group!r} and {self.time!r}")
        if len(self.label_separator) != 1:
            raise UserError(
                f"label_separator must be one character. Received: {self.label_separator!r}"
            )


@dataclasses.dataclass(frozen=True)
class CSV(_Table):
    """A table in a text file with a header, also compressed (.gz)."""

    kind: str = field("csv", "Data source.", choices=("csv",))
    delimiter: str = field(
        "", "Character between cells; empty: comma, semicolon, tab or |, as the header shows."
    )
    encoding: str = field(
        "", "Encoding of the text, such as latin-1; empty: UTF-8, or UTF-16 with a byte order mark."
    )

    def validate(self) -> None:
        """Checks the columns, the delimiter, and the held-out fractions."""
        super().validate()
        if len(self.delimiter) > 1:
            raise UserError(f"delimiter must be one character. Received: {self.delimiter!r}")


@dataclasses.dataclass(frozen=True)
class Parquet(_Table):
    """A table in a Parquet file."""

    kind: str = field("parquet", "Data source.", choices=("parquet",))


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


Data = Digits | TFDS | ImageFolder | IDX | CSV | Parquet | TFRecord | CustomData


def _check_image_size(image_size: tuple[int, ...]) -> None:
    if len(image_size) not in (0, 2):
        raise UserError(f"image_size must be (height, width) or (). Received: {image_size!r}")


def _check_channels(channels: int) -> None:
    if channels == 2:
        raise UserError("channels must be 1 or 3. Received: 2")


def _check_class_names(class_names: tuple[str, ...]) -> None:
    if len(set(class_names)) < len(class_names) or len(class_names) == 1:
        raise UserError(
            f"class_names must be () or two or more distinct names. Received: {class_names}"
        )


def _check_fractions(validation_fraction: float, test_fraction: float) -> None:
    if validation_fraction + test_fraction >= 1:
        raise UserError(
            "validation_fraction + test_fraction must be < 1. "
            f"Received: {validation_fraction} + {test_fraction}"
        )

"""Targets from the labels of records: class numbers, names, lists of either, or numbers."""

import numpy as np
from numpy.typing import NDArray

from trainer.config.data import TFRecord
from trainer.data.records.contents import Contents
from trainer.data.records.index import RecordIndex
from trainer.data.signature import CLASSIFICATION, MULTI_LABEL, REGRESSION
from trainer.data.targets import Targets, parse_targets
from trainer.errors import UserError

_SEPARATOR = "\x1f"
# Class numbers with fewer records per class than this, if there are many, are measurements.
_RECORDS_PER_CLASS = 5
_FEW_CLASSES = 20


def label_targets(
    config: TFRecord, contents: Contents, index: RecordIndex, train: Targets | None = None
) -> Targets:
    """The targets of the labels of N records.

    Args:
      config: names the label, and says what the target is.
      contents: with the labels.
      index: of the records, for messages.
      train: the targets of the training split, if these are of another one.

    Raises:
      UserError: if a label has too few or too many values, no class, or floats are no regression.
    """
    kind = train.kind if train else _kind(config, contents)
    if kind == REGRESSION:
        return _values(config, contents, index, train)
    if kind == CLASSIFICATION:
        _check_one_value(config, contents, index)
    if contents.labels.dtype.kind == "f":
        raise UserError(
            f"{index.where(0)}, feature {config.label!r} must be class numbers or names; set "
            "data.target=regression to predict numbers, or store classes. Received: floats"
        )
    if contents.labels.dtype.kind == "S":
        return _named(config, contents, index, kind, train)
    return _numbered(config, contents, index, kind, train)


def _kind(config: TFRecord, contents: Contents) -> str:
    if config.target != "auto":
        return config.target
    return CLASSIFICATION if (contents.counts == 1).all() else MULTI_LABEL


def _check_one_value(config: TFRecord, contents: Contents, index: RecordIndex) -> None:
    for record in np.flatnonzero(contents.counts != 1):
        raise UserError(
            f"{index.where(record)}, feature {config.label!r} must have one value; set "
            f"data.target=multi_label for lists. Received: {contents.counts[record]}"
        )


def _values(
    config: TFRecord, contents: Contents, index: RecordIndex, train: Targets | None
) -> Targets:
    if contents.labels.dtype.kind == "S":
        raise UserError(
            f"{index.where(0)}, feature {config.label!r} must be numbers for data.target="
            "regression. Received: bytes"
        )
    width = len(train.classes) if train else int(contents.counts[0])
    for record in np.flatnonzero(contents.counts != width):
        raise UserError(
            f"{index.where(record)}, feature {config.label!r} must have as many values as in the "
            f"first record, {width}. Received: {contents.counts[record]}"
        )
    values = contents.labels.astype(np.float32).reshape(-1, width) + np.float32(0)
    for record in np.flatnonzero(~np.isfinite(values).all(axis=1)):
        raise UserError(
            f"{index.where(record)}, feature {config.label!r} must be finite. Received: "
            f"{values[record].tolist()}"
        )
    names = (config.label,) if width == 1 else tuple(f"{config.label}_{n}" for n in range(width))
    return Targets(names, REGRESSION, values)


def _named(
    config: TFRecord,
    contents: Contents,
    index: RecordIndex,
    kind: str,
    train: Targets | None,
) -> Targets:
    texts = iter([label.decode("utf-8", "replace") for label in contents.labels])
    cells = [
        _SEPARATOR.join(next(texts) for _ in range(count)) for count in contents.counts.tolist()
    ]
    known = train.classes if train else config.class_names
    return parse_targets({config.label: cells}, kind, _SEPARATOR, index.where, known)


def _numbered(
    config: TFRecord,
    contents: Contents,
    index: RecordIndex,
    kind: str,
    train: Targets | None,
) -> Targets:
    numbers = contents.labels
    if not len(numbers):
        raise UserError(f"feature {config.label!r} has no value in any record of data.path")
    classes = train.classes if train else config.class_names
    if not classes:
        _check_discrete(config, numbers)
        classes = tuple(map(str, range(max(int(numbers.max()), 0) + 1)))
    records = np.repeat(np.arange(len(contents.counts)), contents.counts)
    for place in np.flatnonzero((numbers < 0) | (numbers >= len(classes))):
        raise UserError(
            f"{index.where(records[place])}, feature {config.label!r} must be a class number from "
            f"0 to {len(classes) - 1}. Received: {numbers[place]}"
        )
    if kind == CLASSIFICATION:
        if len(classes) < 2:
            raise UserError(f"feature {config.label!r} must have at least two classes")
        return Targets(classes, kind, numbers.astype(np.int32))
    values = np.zeros((len(contents.counts), len(classes)), np.float32)
    values[records, numbers] = 1
    return Targets(classes, MULTI_LABEL, values)


def _check_discrete(config: TFRecord, numbers: NDArray[np.int64]) -> None:
    distinct = len(np.unique(numbers))
    if (
        config.target == "auto"
        and distinct > _FEW_CLASSES
        and distinct * _RECORDS_PER_CLASS > len(numbers)
    ):
        raise UserError(
            f"feature {config.label!r} has {distinct} different numbers in {len(numbers)} records, "
            "too many for classes; set data.target=regression to predict numbers, or "
            "data.target=classification if they are classes"
        )

"""Targets from the labels of records: class numbers, names, lists of either, or numbers."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trainer.config.data import TFRecord
from trainer.data.records.contents import RecordContents
from trainer.data.records.index import RecordIndex
from trainer.data.signature import CLASSIFICATION, MULTI_LABEL, REGRESSION
from trainer.data.targets import Targets, parse_targets
from trainer.errors import UserError

_SEPARATOR = "\x1f"
# Class numbers with fewer records per class than this, if there are many, are measurements.
_RECORDS_PER_CLASS = 5
_FEW_CLASSES = 20
_MOST_CLASSES = 1_000_000


@dataclasses.dataclass(frozen=True)
class Meaning:
    """How labels are read, decided by the training split.

    Attributes:
      kind: classification, multi_label or regression.
      classes: names of the classes, labels or values; empty: the names that occur.
      has_names: whether labels are names, not numbers.
    """

    kind: str
    classes: tuple[str, ...]
    has_names: bool


def meaning(config: TFRecord, contents: RecordContents, index: RecordIndex) -> Meaning:
    """How the labels of the training split are read.

    Raises:
      UserError: if the type of the labels cannot be that of the target, or there are too many or
        too few class numbers.
    """
    kind = _kind(config, contents)
    has_names = contents.names is not None
    if kind == REGRESSION:
        if has_names:
            raise UserError(
                f"{index.where(0)}, feature {config.label!r} must be numbers for data.target="
                "regression. Received: bytes"
            )
        width = int(np.bincount(contents.counts).argmax())
        if not width:
            raise UserError(f"feature {config.label!r} has no value in most records of data.path")
        numbered = tuple(f"{config.label}_{n}" for n in range(width))
        return Meaning(kind, (config.label,) if width == 1 else numbered, has_names)
    if contents.labels.dtype.kind == "f":
        raise UserError(
            f"{index.where(0)}, feature {config.label!r} must be class numbers or names; set "
            "data.target=regression to predict numbers, or store classes, such as the number of "
            "a range. Received: floats"
        )
    if not len(contents.labels):
        raise UserError(f"feature {config.label!r} has no value in any record of data.path")
    if has_names or config.class_names:
        return Meaning(kind, config.class_names, has_names)
    largest = _check_discrete(config, contents.labels)
    if kind == CLASSIFICATION and largest == 0:
        raise UserError(f"feature {config.label!r} must have at least two classes")
    return Meaning(kind, tuple(map(str, range(max(largest, 0) + 1))), has_names)


def _kind(config: TFRecord, contents: RecordContents) -> str:
    if config.target != "auto":
        return config.target
    # A record without a label among single labels is an error, not a list.
    return CLASSIFICATION if contents.counts.max() <= 1 else MULTI_LABEL


def _check_discrete(config: TFRecord, numbers: NDArray[np.int64]) -> int:
    """The largest class number; checks that numbers are classes."""
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
    largest = int(numbers.max())
    if largest >= _MOST_CLASSES:
        raise UserError(
            f"feature {config.label!r} must be class numbers 0, 1, … below {_MOST_CLASSES:,}; "
            f"number the classes, or set data.target=regression. Received: {largest}"
        )
    return largest


def wrong_labels(
    config: TFRecord, contents: RecordContents, index: RecordIndex, read_as: Meaning
) -> dict[int, str]:
    """Why records cannot be used, by their numbers, in order.

    Raises:
      UserError: if labels are names, and those of the training split are not, or the reverse.
    """
    has_names = contents.names is not None
    if has_names != read_as.has_names:
        kinds = ("class numbers", "class names")
        raise UserError(
            f"{index.where(0)}, feature {config.label!r} must be {kinds[read_as.has_names]} as in "
            f"the training shards. Received: {kinds[has_names]}"
        )
    wrong: dict[int, str] = {}
    for record, reason in _problems(contents, read_as):
        place = f"{index.where(record)}, feature {config.label!r}"
        wrong.setdefault(int(record), f"{place} {reason}")
    return dict(sorted(wrong.items()))


def _problems(contents: RecordContents, read_as: Meaning) -> Iterator[tuple[np.integer, str]]:
    counts, labels, records = contents.counts, contents.labels, contents.records
    classes = read_as.classes
    if read_as.kind == REGRESSION:
        for record in np.flatnonzero(counts != len(classes)):
            what = "one value" if len(classes) == 1 else f"{len(classes)} values as other records"
            yield record, f"must have {what}. Received: {counts[record]}"
        with np.errstate(over="ignore"):
            finite = np.isfinite(labels.astype(np.float32))
        for place in np.flatnonzero(~finite):
            yield records[place], f"must be finite. Received: {labels[place]}"
        return
    if read_as.kind == CLASSIFICATION:
        for record in np.flatnonzero(counts != 1):
            yield (
                record,
                "must have one value; set data.target=multi_label for lists. "
                f"Received: {counts[record]}",
            )
    if contents.names is not None:
        for number, name in enumerate(contents.names):
            if (classes and name not in classes) or not name:
                for place in np.flatnonzero(labels == number):
                    known = f"one of {', '.join(classes)}" if classes else "the name of a class"
                    yield records[place], f"must be {known}. Received: {name!r}"
    elif classes:
        for place in np.flatnonzero((labels < 0) | (labels >= len(classes))):
            yield (
                records[place],
                f"must be a class number from 0 to {len(classes) - 1}. Received: {labels[place]}",
            )
    if (counts <= 1).all():
        return
    pairs = np.stack([records, labels.astype(np.int64)], axis=1)
    unique, times = np.unique(pairs, axis=0, return_counts=True)
    for record in unique[times > 1, 0]:
        yield (
            record,
            "must have each label once; store the numbers of the labels that are present, not a "
            "0 or 1 for each label",
        )


def label_targets(
    config: TFRecord, contents: RecordContents, index: RecordIndex, read_as: Meaning
) -> Targets:
    """The targets of N records, of which `wrong_labels` says nothing.

    Raises:
      UserError: if there are fewer than two class names, or too many that are numbers.
    """
    if read_as.kind == REGRESSION:
        values = contents.labels.astype(np.float32).reshape(-1, len(read_as.classes))
        # Equal targets must have equal bytes, and -0 equals 0.
        return Targets(read_as.classes, REGRESSION, values + np.float32(0))
    if contents.names is not None:
        return _named(config, contents, index, read_as)
    if read_as.kind == CLASSIFICATION:
        return Targets(read_as.classes, CLASSIFICATION, contents.labels.astype(np.int32))
    values = np.zeros((len(contents.counts), len(read_as.classes)), np.float32)
    values[contents.records, contents.labels] = 1
    return Targets(read_as.classes, MULTI_LABEL, values)


def _named(
    config: TFRecord, contents: RecordContents, index: RecordIndex, read_as: Meaning
) -> Targets:
    assert contents.names is not None
    names = iter([contents.names[number] for number in contents.labels.tolist()])
    cells = [
        _SEPARATOR.join(next(names) for _ in range(count)) for count in contents.counts.tolist()
    ]
    return parse_targets(
        {config.label: cells}, read_as.kind, _SEPARATOR, index.where, read_as.classes
    )

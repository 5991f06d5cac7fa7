"""Targets from the text cells of tables: classes, labels or numbers."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.data.signature import CLASSIFICATION, MULTI_LABEL, REGRESSION
from trainer.errors import UserError

_AUTO = "auto"
# Numbers with fewer rows per class than this, if there are many, are measurements.
_ROWS_PER_CLASS = 5
_FEW_CLASSES = 20
_REMEDY = (
    "set data.target=regression to predict numbers, or choose another column, or replace the "
    "numbers by ranges"
)
# From the position of a row to its place in the user's file, for messages.
Where = Callable[[int], str]


class Targets(NamedTuple):
    """The targets of a table.

    Attributes:
      classes: names of the classes, of the labels, or of the values of a regression.
      kind: classification, multi_label or regression.
      values: int32 class numbers `[N]`; float32 `[N, labels]`, 0 or 1; float32 `[N, values]`.
    """

    classes: tuple[str, ...]
    kind: str
    values: NDArray[Any]


def parse_targets(
    columns: Mapping[str, Sequence[str]],
    kind: str,
    separator: str,
    where: Where,
    known: Sequence[str] = (),
) -> Targets:
    """The targets of the cells of one or several columns.

    Classes are in numeric order if all are integers, else in alphabetical order. Labels are the
    columns, of which each has 0 or 1, or the texts between separators in the cells of one column,
    where an empty cell has no label.

    Args:
      columns: the cells of each target column, without space around them.
      kind: as `data.target`. auto: one column has classes; several columns of 0 and 1 have labels.
      separator: between the labels of a cell.
      where: the place of a row, such as `table.csv, line 7`, for messages.
      known: the classes or labels of the training table, if these are of another one; empty: they
        are those of the cells.

    Raises:
      UserError: if a cell is empty, no number, or of no known class; if there are fewer than two
        classes; if numbers are not classes; or if several columns have other values than 0 and 1
        and `kind` does not say that they are numbers.
    """
    if kind == REGRESSION:
        return _regression(columns, where)
    if kind == MULTI_LABEL and len(columns) == 1:
        ((name, cells),) = columns.items()
        # A column of 0 and 1 is one label; a list of labels has names.
        is_label = tuple(known) == (name,) if known else set(cells) <= {"0", "1"}
        if not is_label:
            return _lists(name, cells, separator, where, known)
    if kind == MULTI_LABEL or (kind == _AUTO and len(columns) > 1):
        return _labels(columns, kind, where)
    if len(columns) > 1:
        raise UserError(
            f"data.target={kind} needs one target column. Received: {', '.join(columns)}"
        )
    ((name, cells),) = columns.items()
    return _classification(name, cells, where, known)


def number(cell: str) -> float:
    """The number in a cell; NaN if it is none."""
    try:
        # Python's numbers, but not tables', may have underscores.
        return math.nan if "_" in cell else float(cell)
    except ValueError:
        return math.nan


def _classification(name: str, cells: Sequence[str], where: Where, known: Sequence[str]) -> Targets:
    for row, cell in enumerate(cells):
        if not cell:
            raise UserError(f"{where(row)}, column {name!r} must not be empty. Received: ''")
    classes = tuple(known) or _classes(name, cells, where)
    numbers = {each: place for place, each in enumerate(classes)}
    for row, cell in enumerate(cells):
        if cell not in numbers:
            raise _unknown(name, row, cell, classes, where)
    return Targets(classes, CLASSIFICATION, np.array([numbers[cell] for cell in cells], np.int32))


def _unknown(name: str, row: int, cell: str, classes: Sequence[str], where: Where) -> UserError:
    return UserError(
        f"{where(row)}, column {name!r} must be a class of the training table: "
        f"{', '.join(classes)}. Received: {cell!r}"
    )


def _classes(name: str, cells: Sequence[str], where: Where) -> tuple[str, ...]:
    names = sorted(set(cells))
    if len(names) < 2:
        raise UserError(f"column {name!r} must have at least two classes. Received: {names}")
    _check_discrete(name, cells, names, where)
    if all(re.fullmatch("-?[0-9]+", each) for each in names):
        names.sort(key=lambda each: (int(each), each))
    return tuple(names)


def _check_discrete(name: str, cells: Sequence[str], names: Sequence[str], where: Where) -> None:
    """Checks that numbers are classes.

    Raises:
      UserError: if all are numbers and one is no integer, or most are numbers and there are too
        few rows for so many classes.
    """
    numbers = {each: value for each in names if math.isfinite(value := number(each))}
    if len(numbers) == len(names):
        for row, cell in enumerate(cells):
            if not numbers[cell].is_integer():
                raise UserError(
                    f"{where(row)}, column {name!r} must be a class; {_REMEDY}. Received: {cell}"
                )
    if (
        2 * len(numbers) > len(names)
        and len(names) > _FEW_CLASSES
        and len(names) * _ROWS_PER_CLASS > len(cells)
    ):
        raise UserError(
            f"column {name!r} has {len(numbers)} different numbers in {len(cells)} rows, too many "
            f"for classes; {_REMEDY}"
        )


def _labels(columns: Mapping[str, Sequence[str]], kind: str, where: Where) -> Targets:
    values = np.empty((len(next(iter(columns.values()))), len(columns)), np.float32)
    for place, (name, cells) in enumerate(columns.items()):
        for row, cell in enumerate(cells):
            if (value := number(cell)) not in (0, 1):
                remedy = (
                    "set data.target=regression to predict numbers, or choose one column"
                    if kind == _AUTO
                    else "correct it, or choose other columns"
                )
                raise UserError(
                    f"{where(row)}, column {name!r} must be 0 or 1, as there are several target "
                    f"columns or data.target=multi_label; {remedy}. Received: {cell!r}"
                )
            values[row, place] = value
    return Targets(tuple(columns), MULTI_LABEL, values)


def _lists(
    name: str, cells: Sequence[str], separator: str, where: Where, known: Sequence[str]
) -> Targets:
    lists = [{part.strip() for part in cell.split(separator)} - {""} for cell in cells]
    counts = Counter(label for labels in lists for label in labels)
    classes = tuple(known) or tuple(sorted(counts))
    if not classes:
        raise UserError(f"column {name!r} must have a label. Received: empty cells")
    numbers = {each: place for place, each in enumerate(classes)}
    values = np.zeros((len(cells), len(classes)), np.float32)
    for row, labels in enumerate(lists):
        for label in sorted(labels):
            if label not in numbers:
                raise _unknown(name, row, label, classes, where)
            values[row, numbers[label]] = 1
    return Targets(classes, MULTI_LABEL, values)


def _regression(columns: Mapping[str, Sequence[str]], where: Where) -> Targets:
    # The network computes in float32, where larger numbers are infinite.
    with np.errstate(over="ignore"):
        values = np.array(
            [[number(cell) for cell in cells] for cells in columns.values()], np.float32
        ).T
    names = tuple(columns)
    for row, column in np.argwhere(~np.isfinite(values)):
        name = names[column]
        raise UserError(
            f"{where(int(row))}, column {name!r} must be a finite number; correct it, or remove "
            f"the row. Received: {columns[name][row]!r}"
        )
    # Equal targets must have equal bytes, and -0 equals 0.
    return Targets(names, REGRESSION, np.ascontiguousarray(values) + np.float32(0))

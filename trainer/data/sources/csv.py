"""`csv`: a table in which one column is the class and the others are numbers."""

import math
import re

import numpy as np

from trainer.config.data import CSV
from trainer.data.examples import InMemoryExamples, Source
from trainer.data.sources.csv_reader import Table, number, read_rows
from trainer.errors import UserError

# Numbers with fewer rows per class than this, if there are many, are measurements.
_ROWS_PER_CLASS = 5
_FEW_CLASSES = 20


def load(config: CSV, data_dir: str) -> Source:
    """Reads `path` and, if given, `test_path`.

    Classes are in numeric order if all are integers, else in alphabetical order.

    Raises:
      UserError: if a file or a column is missing, a feature is not a number, or the labels are
        continuous numbers.
    """
    del data_dir
    if not config.path:
        raise UserError("data.path is required: the CSV file with the training examples")
    table = read_rows(config.path)
    table.index(config.label)
    for name in config.ignore:
        table.index(name)
    columns = tuple(
        name for name in table.header if name != config.label and name not in config.ignore
    )
    if not columns:
        raise UserError(
            f"{config.path} must have a column besides the label {config.label!r} and the ignored "
            f"columns. Received: {', '.join(table.header)}"
        )
    classes = _classes(table, config.label)
    splits = {"train": _split(table, config.label, columns, classes)}
    if config.test_path:
        test_table = read_rows(config.test_path)
        splits["test"] = _split(test_table, config.label, columns, classes)
    return Source(splits, classes, columns)


def _classes(table: Table, label: str) -> tuple[str, ...]:
    names = sorted(set(table.text(label)))
    if len(names) < 2:
        raise UserError(
            f"{table.path}, column {label!r} must contain at least two classes. Received: {names}"
        )
    _check_discrete(table, label, names)
    if all(re.fullmatch("-?[0-9]+", name) for name in names):
        names.sort(key=int)
    return tuple(names)


def _check_discrete(table: Table, label: str, names: list[str]) -> None:
    """Checks that the distinct labels are classes; a network learns no order from numbers.

    Raises:
      UserError: if all are numbers and one is no integer, or most are numbers and there are too
        few rows for so many classes.
    """
    numbers = {name: value for name in names if math.isfinite(value := number(name))}
    where = f"{table.path}, column {label!r} has"
    remedy = "choose another column with data.label, or replace the numbers by ranges"
    if len(numbers) == len(names):
        for cell, line in zip(table.text(label), table.lines, strict=True):
            if not numbers[cell].is_integer():
                raise UserError(
                    f"{where} the number {cell} on line {line}, which is not a class; {remedy}"
                )
    rows = len(table.rows)
    if (
        2 * len(numbers) > len(names)
        and len(names) > _FEW_CLASSES
        and len(names) * _ROWS_PER_CLASS > rows
    ):
        raise UserError(
            f"{where} {len(numbers)} different numbers in {rows} rows, too many for classes; "
            f"{remedy}"
        )


def _split(
    table: Table, label: str, columns: tuple[str, ...], classes: tuple[str, ...]
) -> InMemoryExamples:
    numbers = {name: index for index, name in enumerate(classes)}
    labels = table.text(label)
    for name, line in zip(labels, table.lines, strict=True):
        if name not in numbers:
            raise UserError(
                f"{table.path}, line {line}, column {label!r} must be a class of the training "
                f"table: {', '.join(classes)}. Received: {name!r}"
            )
    return InMemoryExamples(
        table.numbers(columns), np.array([numbers[name] for name in labels], np.int32)
    )

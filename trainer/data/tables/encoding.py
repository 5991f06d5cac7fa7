"""From the text of cells to stored rows, in training, evaluation and prediction."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.data.signature import Column
from trainer.data.tables import cells
from trainer.data.tables.types import shortened

PARTS = ("year", "month", "day", "weekday", "hour")
EXPECTED = {
    "numeric": "must be a finite number",
    "boolean": "must be true or false, yes or no, t or f, y or n",
    "date": "must be a date such as 2024-01-31 or 2024-01-31T12:00:00",
}


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A cell that does not have the type of its column.

    Attributes:
      row: its position among the encoded rows.
      column: the name of its column.
      expected: what it must be.
      received: its text.
    """

    row: int
    column: str
    expected: str
    received: str


def encode(
    texts: Mapping[str, Sequence[str]], columns: Sequence[Column], count: int
) -> tuple[NDArray[np.float32], list[Wrong]]:
    """The stored rows of cells.

    Args:
      texts: the cells of each column by its name, N each.
      columns: of the rows.
      count: N.

    Returns:
      float32 `[N, columns]`: numbers, category numbers (0: other), 1 and 0 for true and false, a
      part of a date; NaN for a missing cell. And the cells that cannot be encoded, row by row.
    """
    rows = np.empty((count, len(columns)), np.float32)
    wrong: list[Wrong] = []
    moments: dict[str, NDArray[np.float64]] = {}
    for place, column in enumerate(columns):
        column_texts = texts[column.name]
        if column.type == "date":
            if column.name not in moments:
                moments[column.name] = _dates(column_texts)
            values = moments[column.name][PARTS.index(column.part)]
        elif column.type == "categorical":
            values = _categories(column_texts, column.categories)
        elif column.type == "boolean":
            values = _booleans(column_texts)
        else:
            values = _numbers(column_texts)
        # The network computes in float32, where larger numbers are infinite.
        with np.errstate(over="ignore"):
            rows[:, place] = values
        if column.part not in ("", PARTS[0]):
            continue
        for row in np.flatnonzero(np.isinf(rows[:, place])).tolist():
            received = shortened(column_texts[row])
            wrong.append(Wrong(row, column.name, EXPECTED[column.type], received))
    wrong.sort(key=lambda each: each.row)
    # -0 equals 0, and equal rows must have equal bytes. Only one NaN is stored.
    rows += np.float32(0)
    rows[np.isnan(rows)] = np.nan
    return rows, wrong


# In the results of these functions NaN is a missing cell, and infinity a wrong one.


def _numbers(texts: Sequence[str]) -> NDArray[np.float64]:
    values = cells.numbers(texts)
    return values if values is not None else _each(texts, cells.number)


def _booleans(texts: Sequence[str]) -> NDArray[np.float64]:
    return _each(texts, lambda text: float(text) if text in ("0", "1") else cells.boolean(text))


def _categories(texts: Sequence[str], categories: Sequence[str]) -> NDArray[np.float64]:
    number = {name: index for index, name in enumerate(categories, 1)}
    return _each(texts, lambda text: number.get(text, 0))


def _dates(texts: Sequence[str]) -> NDArray[np.float64]:
    """The parts of dates, float64 `[parts, N]`; the hour is a fraction, the first weekday 0."""
    parts = {}
    for text in set(texts):
        if cells.is_missing(text):
            parts[text] = (np.nan,) * len(PARTS)
        elif moment := cells.date(text):
            day = (moment.year, moment.month, moment.day, moment.weekday())
            parts[text] = (*map(float, day), cells.hours(moment))
        else:
            parts[text] = (np.inf,) * len(PARTS)
    return np.array([parts[text] for text in texts], np.float64).T


def _each(texts: Sequence[str], value: Callable[[str], float | None]) -> NDArray[np.float64]:
    """The value of each cell, which is computed once for equal ones."""
    values = {}
    for text in set(texts):
        found = np.nan if cells.is_missing(text) else value(text)
        values[text] = np.inf if found is None else float(found)
    return np.fromiter(map(values.__getitem__, texts), np.float64, len(texts))

"""How the columns of a table become numbers, measured on the training split."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.data.signature import Column
from trainer.data.tables import cells
from trainer.data.tables.encoding import PARTS
from trainer.data.tables.types import BOOLEAN, CATEGORICAL, DATE, Census

_MOST_ONE_HOT = 32
_MOST_DIMENSIONS = 50
# Bytes of the columns whose medians are computed at a time.
_GROUP = 2**28


def from_census(
    types: Mapping[str, str], censuses: Mapping[str, Census], categories: str, min_rows: int
) -> list[Column]:
    """The columns, without the medians of numbers and dates.

    Args:
      types: of each column by its name, in the order of the table.
      censuses: of their cells.
      categories: auto, one_hot or embedding, as in `data.categories`.
      min_rows: of a category.

    Returns:
      One column for each, and for a date one per part; the first part has its indicator.
    """
    columns = []
    for name, kind in types.items():
        census = censuses[name]
        counts: Mapping[str, int] = census.counts or {}
        column = Column(name, kind, has_indicator=census.missing > 0)
        if kind == CATEGORICAL:
            known = _known(counts, min_rows)
            embedding = dimensions(len(known)) if _is_embedded(categories, len(known)) else 0
            column = dataclasses.replace(
                column, fill=float(bool(known)), categories=known, embedding=embedding
            )
        elif kind == BOOLEAN:
            true = sum(
                count for text, count in counts.items() if cells.boolean(text) or text == "1"
            )
            column = dataclasses.replace(column, fill=float(2 * true > census.present))
        if kind != DATE:
            columns.append(column)
            continue
        for part in PARTS if census.has_times else PARTS[:-1]:
            has_indicator = column.has_indicator and part == PARTS[0]
            columns.append(dataclasses.replace(column, part=part, has_indicator=has_indicator))
    return columns


def _known(counts: Mapping[str, int], min_rows: int) -> tuple[str, ...]:
    """The categories with enough rows, by falling frequency, then by name."""
    return tuple(
        sorted(
            (text for text, count in counts.items() if count >= min_rows),
            key=lambda text: (-counts[text], text),
        )
    )


def _is_embedded(categories: str, count: int) -> bool:
    return categories == "embedding" or (categories == "auto" and count > _MOST_ONE_HOT)


def dimensions(categories: int) -> int:
    """Dimensions of the vectors of so many categories.

    Half of them, at most 50: the rule of fast.ai's course for entity embeddings (Guo and
    Berkhahn, "Entity Embeddings of Categorical Variables", 2016).
    """
    return max(1, min(_MOST_DIMENSIONS, math.ceil(categories / 2)))


def with_medians(
    columns: Sequence[Column], rows: NDArray[np.float32], train: NDArray[np.int64]
) -> list[Column]:
    """The columns, numbers and dates with the median of the stored numbers.

    Args:
      columns: of the rows.
      rows: `[N, columns]`, which may be mapped from a file.
      train: the positions of the training split.
    """
    measured = [
        place for place, each in enumerate(columns) if each.type not in (CATEGORICAL, BOOLEAN)
    ]
    fills = dict(_medians(rows, train, measured))
    return [
        dataclasses.replace(column, fill=fills[place]) if place in fills else column
        for place, column in enumerate(columns)
    ]


def _medians(
    rows: NDArray[np.float32], train: NDArray[np.int64], measured: Sequence[int]
) -> Iterator[tuple[int, float]]:
    size = max(1, _GROUP // (8 * len(train)))
    for first in range(0, len(measured), size):
        group = list(measured[first : first + size])
        values = np.empty((len(group), len(train)))
        # Parts of the rows, so that no more of a mapped file is read at a time.
        for start in range(0, len(train), 2**16):
            part = rows[train[start : start + 2**16]]
            values[:, start : start + len(part)] = part[:, group].T
        for place, column in zip(group, values, strict=True):
            yield place, float(np.median(column[~np.isnan(column)]))

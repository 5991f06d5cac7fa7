"""The rows of a table before they are encoded: which they are, and what they have besides cells."""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.examples import Examples
from trainer.data.tables import cells
from trainer.data.tables.blocks import Block, TableFile
from trainer.errors import UserError

_DIGEST = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Rows(Examples):
    """Rows of a file; their cells stay there.

    Attributes:
      table: the file.
      positions: int64 `[N]`, among the rows of the file that can be read.
      digests: uint8 `[N, 16]`, of the feature cells.
      values: targets, see `Examples.targets`.
    """

    table: TableFile
    positions: NDArray[np.int64]
    digests: NDArray[np.uint8]
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.positions)

    def at(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Not possible: rows are encoded first."""
        raise TypeError(f"the rows of {self.table.path} are not encoded: {positions.shape}")

    @property
    def targets(self) -> NDArray[Any]:
        """See the base class."""
        return self.values

    def select(self, positions: NDArray[np.int64]) -> "Rows":
        """See the base class."""
        return Rows(
            self.table, self.positions[positions], self.digests[positions], self.values[positions]
        )

    def identities(self) -> Iterator[bytes]:
        """A hash of the text of the feature cells, in the order of the names of their columns."""
        for digest in self.digests:
            yield digest.tobytes()


@dataclasses.dataclass
class Scan:
    """What is kept of each usable row of a table after it was read once.

    Attributes:
      positions: among the rows that can be read.
      places: lines or numbers in the file.
      digests: of the feature cells, 16 bytes each.
      targets: the cells of each target column.
      groups: the cells of the group column.
      times: numbers, or seconds of dates, of the time column.
    """

    positions: NDArray[np.int64]
    places: NDArray[np.int64]
    digests: NDArray[np.uint8]
    targets: dict[str, list[str]]
    groups: list[bytes]
    times: NDArray[np.float64]


def scan(
    table: TableFile,
    features: Sequence[str],
    targets: Sequence[str],
    problem: Callable[[str], str],
    skipped: list[tuple[str, str]] | None,
    group: str = "",
    time: str = "",
) -> Scan:
    """Reads a table once.

    Args:
      table: the file.
      features: the names of the feature columns.
      targets: of the target columns.
      problem: of a target cell: what it must be, or nothing.
      skipped: gets what was left out and why; None: a broken row is an error.
      group: of the group column; empty: none.
      time: of the time column; empty: none.

    Raises:
      UserError: if a row cannot be read, or has no such target, no group, or no time.
    """
    # A table with other columns or the same ones in another order has the same splits.
    ordered = sorted(features)
    extra = [name for name in (group, time) if name]
    broken = None if skipped is None else lambda name, why: skipped.append((name, why))
    wrong = _Wrong(targets, problem, group, time)
    # Equal cells share one object.
    known: dict[str, str] = {}
    known_groups: dict[str, bytes] = {}
    positions, places, times = [], [], []
    digests = bytearray()
    kept: dict[str, list[str]] = {name: [] for name in targets}
    groups: list[bytes] = []
    first = 0
    for block in table.blocks([*ordered, *targets, *extra], broken):
        usable = []
        for row, place in enumerate(block.places):
            why = wrong.in_row(block, row)
            if not why:
                usable.append(row)
                times.append(wrong.moment)
            elif skipped is None:
                raise UserError(f"{table.where(place, why[0])} {why[1]}")
            else:
                skipped.append((table.name(place), f"column {why[0]!r} {why[1]}"))
        positions.append(first + np.array(usable, np.int64))
        first += len(block.places)
        taken = block.take(usable)
        places.append(np.array(taken.places, np.int64))
        for row_cells in zip(*(taken.cells[name] for name in ordered), strict=True):
            digests += hashlib.blake2b(repr(row_cells).encode(), digest_size=_DIGEST).digest()
        for name, texts in kept.items():
            texts.extend(known.setdefault(text, text) for text in taken.cells[name])
        if group:
            groups.extend(known_groups.setdefault(t, t.encode()) for t in taken.cells[group])
    return Scan(
        np.concatenate(positions),
        np.concatenate(places),
        np.frombuffer(bytes(digests), np.uint8).reshape(-1, _DIGEST),
        kept,
        groups,
        np.array(times, np.float64),
    )


class _Wrong:
    """Judges the cells of a row that are no features: targets, group and time."""

    def __init__(
        self, targets: Sequence[str], problem: Callable[[str], str], group: str, time: str
    ):
        """Takes the names of the columns; `problem` as in `scan`."""
        self._targets = targets
        self._problem = problem
        self._group = group
        self._time = time
        # All times are numbers, or all are dates, as the first one is.
        self._is_date: bool | None = None
        self.moment = math.nan

    def in_row(self, block: Block, row: int) -> tuple[str, str] | None:
        """The column of a wrong cell, and what it must be; sets `moment` to the row's time."""
        for name in self._targets:
            if expected := self._problem(block.cells[name][row]):
                return name, f"{expected}. Received: {block.cells[name][row]!r}"
        if self._group and cells.is_missing(text := block.cells[self._group][row]):
            return self._group, f"must not be empty. Received: {text!r}"
        return self._wrong_time(block.cells[self._time][row]) if self._time else None

    def _wrong_time(self, text: str) -> tuple[str, str] | None:
        moment, is_date = _time(text)
        if moment is None or self._is_date not in (None, is_date):
            noun = {None: "number or a date", True: "date", False: "number"}[self._is_date]
            return self._time, f"must be a {noun}. Received: {text!r}"
        self._is_date, self.moment = is_date, moment
        return None


def _time(text: str) -> tuple[float | None, bool]:
    """The number of a time, and whether it is a date."""
    value = None if cells.is_missing(text) else cells.number(text)
    if value is not None and np.isfinite(value):
        return value, False
    moment = cells.date(text)
    return (cells.seconds(moment), True) if moment else (None, False)


def selected_blocks(
    table: TableFile, columns: Sequence[str], positions: NDArray[np.int64]
) -> Iterator[Block]:
    """The rows at ascending positions, in blocks.

    Args:
      table: the file.
      columns: the names of those to read.
      positions: int64, ascending, among the rows that can be read.

    Raises:
      UserError: if the file has fewer rows than when it was scanned.
    """
    first = found = 0
    # Rows that cannot be read were named when the table was scanned.
    for block in table.blocks(columns, lambda *_: None):
        count = len(block.places)
        until = int(np.searchsorted(positions, first + count))
        if until > found:
            yield block.take((positions[found:until] - first).tolist())
        first, found = first + count, until
        if found == len(positions):
            return
    raise UserError(f"{table.path} changed while it was read; start again")

"""CSV files as text cells with a header; errors name the line."""

import csv
import dataclasses
import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.errors import UserError, unknown_name
from trainer.io.files import read_bytes
from trainer.io.memory import check_fits

# Cells are Python objects until they are converted; measured on 30 columns of 20 digits.
_MEMORY_PER_BYTE = 8


@dataclasses.dataclass(frozen=True)
class Table:
    """A CSV file's cells.

    Attributes:
      path: for error messages.
      header: the names of the columns.
      rows: the cells of each row, one per column of the header.
      lines: the line of the file, counted from 1, on which each row ends.
    """

    path: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def index(self, column: str) -> int:
        """The position of a column.

        Raises:
          UserError: if there is no column of that name; names the nearest.
        """
        if column not in self.header:
            raise unknown_name(f"column of {self.path}", column, self.header)
        return self.header.index(column)

    def text(self, column: str) -> list[str]:
        """The cells of a column, none of them empty.

        Raises:
          UserError: if there is no such column, or a cell is empty.
        """
        index = self.index(column)
        for row, line in zip(self.rows, self.lines, strict=True):
            if not row[index]:
                raise UserError(f"{self._cell(line, column)} must not be empty. Received: ''")
        return [row[index] for row in self.rows]

    def numbers(self, columns: Sequence[str]) -> NDArray[np.float32]:
        """Columns as float32 `[N, F]`, all of them finite.

        Raises:
          UserError: if a column is missing or a cell is not a finite number.
        """
        indices = [self.index(column) for column in columns]
        values = np.empty((len(self.rows), len(indices)), np.float32)
        # The network computes in float32, where larger numbers are infinite.
        with np.errstate(over="ignore"):
            for place, row in enumerate(self.rows):
                values[place] = [number(row[index]) for index in indices]
        for place, column in np.argwhere(~np.isfinite(values)):
            raise UserError(
                f"{self._cell(self.lines[place], columns[column])} must be a finite number; "
                "correct it, or exclude the column with data.ignore. "
                f"Received: {self.rows[place][indices[column]]!r}"
            )
        # Equal rows must have equal bytes, and -0 equals 0.
        return values + np.float32(0)

    def _cell(self, line: int, column: str) -> str:
        return f"{self.path}, line {line}, column {column!r}"


def number(cell: str) -> float:
    """The number in a cell; NaN if it is none."""
    try:
        return float(cell)
    except ValueError:
        return math.nan


def read_rows(path: str) -> Table:
    """The header and the rows of a CSV file, UTF-8.

    Raises:
      UserError: if it is missing, empty, too large or not text, a column name is missing or
        repeated, or a row has another length.
    """
    contents = read_bytes(path)
    check_fits(_MEMORY_PER_BYTE * len(contents), "use fewer rows", path)
    try:
        reader = csv.reader(io.StringIO(contents.decode("utf-8-sig"), newline=""), strict=True)
        cells = [(reader.line_num, tuple(cell.strip() for cell in row)) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV file in UTF-8: {error}") from None
    if len(cells) < 2:
        raise UserError(f"{path} has no rows below its header")
    (_, header), *rows = cells
    for place, name in enumerate(header):
        if not name or name in header[:place]:
            raise UserError(
                f"{path} must have a header with a distinct name per column. "
                f"Received: {name!r} for column {place + 1}"
            )
    for line, row in rows:
        if len(row) != len(header):
            raise UserError(
                f"{path}, line {line} must have {len(header)} cells. Received: {len(row)}"
            )
    return Table(path, header, tuple(row for _, row in rows), tuple(line for line, _ in rows))

"""CSV files as text cells with a header; every complaint names its line."""

import csv
import dataclasses
import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.backend import tf
from trainer.errors import UserError
from trainer.registry import unknown_name


@dataclasses.dataclass(frozen=True)
class Table:
    """A CSV file's cells.

    Attributes:
      path: for error messages.
      header: the names of the columns.
      rows: the cells of each row, as many as the header's.
      lines: the line in the file, counted from 1, on which each row ends.
    """

    path: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def index(self, column: str) -> int:
        """The place of a column.

        Raises:
          UserError: if there is none of that name; the nearest is named.
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
        for number, (row, line) in enumerate(zip(self.rows, self.lines, strict=True)):
            for place, index in enumerate(indices):
                values[number, place] = self._number(row[index], line, columns[place])
        return values

    def _number(self, cell: str, line: int, column: str) -> float:
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        # The network computes in float32, where larger ones are infinite.
        if not abs(value) <= np.finfo(np.float32).max:
            raise UserError(
                f"{self._cell(line, column)} must be a finite number; mend it, or leave the "
                f"column out with data.ignore. Received: {cell!r}"
            )
        return value

    def _cell(self, line: int, column: str) -> str:
        return f"{self.path}, line {line}, column {column!r}"


def read_rows(path: str) -> Table:
    """The header and the rows of a CSV file, UTF-8.

    Raises:
      UserError: if it is missing, empty, not text, or a row is of another length.
    """
    if not path or not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
        raise UserError(f"there is no such table. Received: {path!r}")
    with tf.io.gfile.GFile(path, "rb") as file:
        contents = file.read()
    try:
        reader = csv.reader(io.StringIO(contents.decode("utf-8-sig"), newline=""), strict=True)
        cells = [(reader.line_num, tuple(cell.strip() for cell in row)) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"the table is not CSV in UTF-8 ({error}). Received: {path!r}") from None
    if len(cells) < 2:
        raise UserError(f"the table has no rows below its header. Received: {path!r}")
    (_, header), *rows = cells
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise UserError(f"{path} has two columns of one name. Received: {twice!r}")
    for line, row in rows:
        if len(row) != len(header):
            raise UserError(
                f"{path}, line {line} must have {len(header)} cells. Received: {len(row)}"
            )
    return Table(path, header, tuple(row for _, row in rows), tuple(line for line, _ in rows))

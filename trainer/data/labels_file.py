"""A CSV file in a folder of images: which files there are, and their targets."""

import csv
import dataclasses
import io
import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence

from trainer.errors import UserError, unknown_name
from trainer.io.files import read_bytes

_FILE = "file"


@dataclasses.dataclass(frozen=True)
class Labels:
    """The rows of a labels file.

    Attributes:
      path: of the labels file.
      lines: number of the line of each row, `[N]`.
      names: the file of each row, relative to the folder, `[N]`.
      columns: the cells of each target column, `[N]`, without space around them.
    """

    path: str
    lines: Sequence[int]
    names: Sequence[str]
    columns: Mapping[str, Sequence[str]]

    def where(self, row: int) -> str:
        """The place of a row, for messages."""
        return f"{self.path}, line {self.lines[row]}"

    def select(self, rows: Sequence[int]) -> "Labels":
        """Some of the rows, in this order."""
        return Labels(
            self.path,
            [self.lines[row] for row in rows],
            [self.names[row] for row in rows],
            {name: [cells[row] for row in rows] for name, cells in self.columns.items()},
        )


def read_labels(folder: str, name: str, targets: Sequence[str]) -> Labels:
    """Reads the rows of a labels file.

    Args:
      folder: of the images, local or remote.
      name: of the file, relative to the folder.
      targets: headers of the target columns.

    Raises:
      UserError: if the file is missing or no CSV file, lacks a column, or names a file twice or
        outside of the folder.
    """
    if not is_inside(name):
        raise UserError(f"data.labels_file must be a path in data.path. Received: {name!r}")
    path = os.path.join(folder, name)
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be UTF-8 text. Received: {error.reason}") from error
    rows = _rows(text, path)
    _, header = next(rows, (1, []))
    if not header:
        raise UserError(f"{path} must begin with the headers of its columns. Received: no row")
    places = _places(header, targets, path)
    lines: list[int] = []
    names: list[str] = []
    columns: dict[str, list[str]] = {each: [] for each in targets}
    first_lines: dict[str, int] = {}
    for line, row in rows:
        where = f"{path}, line {line}"
        if len(row) != len(header):
            raise UserError(
                f"{where} must have as many cells as the header, {len(header)}. "
                f"Received: {len(row)}"
            )
        cell = row[places[_FILE]]
        if not is_inside(cell):
            raise UserError(
                f"{where}, column {_FILE!r} must be a path relative to {folder}, and inside of it. "
                f"Received: {cell!r}"
            )
        file = posixpath.normpath(cell)
        if (first := first_lines.setdefault(file, line)) != line:
            raise UserError(
                f"{where} must name another file than line {first}; remove one of them. "
                f"Received: {cell!r}"
            )
        lines.append(line)
        names.append(file)
        for target in targets:
            columns[target].append(row[places[target]])
    if not lines:
        raise UserError(f"{path} must have a row per image. Received: no row")
    return Labels(path, lines, names, columns)


def _rows(text: str, path: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row, without space around them, and the line that it begins in."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for row in reader:
            # Of a blank line there are no cells.
            if row:
                yield line, [cell.strip() for cell in row]
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}, line {line} is not CSV: {error}") from error


def _places(header: Sequence[str], targets: Sequence[str], path: str) -> dict[str, int]:
    """The number of each column that is needed."""
    for name in (_FILE, *targets):
        if name not in header:
            raise unknown_name(f"column of {path}", name, header)
        if header.count(name) > 1:
            raise UserError(f"{path} must have one column {name!r}. Received: {', '.join(header)}")
    return {name: header.index(name) for name in (_FILE, *targets)}


def is_inside(name: str) -> bool:
    """Whether a path is relative and has no part `..`, so that it names a file in the folder."""
    return (
        posixpath.normpath(name) != "."
        and not name.startswith("/")
        and "\0" not in name
        and "://" not in name
        and ".." not in name.split("/")
    )

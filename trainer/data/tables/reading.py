"""Opens a table by its format, and reads the rows to predict."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.config.data import CSV, Data, Parquet
from trainer.data.signature import Column
from trainer.data.tables.blocks import Block, TableFile, opened
from trainer.data.tables.csv_file import CSVFile
from trainer.data.tables.encoding import encode
from trainer.data.tables.parquet_file import ParquetFile
from trainer.errors import UserError

_PARQUET = b"PAR1"


def open_table(path: str, config: CSV | Parquet) -> TableFile:
    """A table of the format of a `data` section.

    Raises:
      UserError: if it cannot be read, or has another format.
    """
    if isinstance(config, Parquet):
        return ParquetFile(path)
    return CSVFile(path, config.delimiter, config.encoding)


def encoded_rows(
    path: str, config: Data, columns: Sequence[Column]
) -> Iterator[tuple[str, NDArray[np.float32] | UserError]]:
    """The stored rows `[columns]` of a table of either format, each with its name.

    Args:
      path: of a Parquet file, or else of a CSV file in the form of the `data` section.
      config: the section of the run.
      columns: of the run. Their order in the table does not matter, nor do other columns.

    Yields:
      The name of each row, and the row, or why it cannot be read or encoded.

    Raises:
      UserError: if the table cannot be read, or has no such columns.
    """
    with opened(path) as file:
        is_parquet = file.read(len(_PARQUET)) == _PARQUET
    table: TableFile
    if is_parquet:
        table = ParquetFile(path)
    elif isinstance(config, CSV):
        table = open_table(path, config)
    else:
        table = CSVFile(path)
    names = list(dict.fromkeys(column.name for column in columns))
    table.require(names, "the run")
    unreadable: list[tuple[str, UserError]] = []

    def note(name: str, reason: str) -> None:
        unreadable.append((name, UserError(f"{name} {reason}")))

    try:
        for block in table.blocks(names, note):
            yield from unreadable
            unreadable.clear()
            yield from _encoded(table, block, columns)
    except UserError:
        yield from unreadable
        raise
    yield from unreadable


def _encoded(
    table: TableFile, block: Block, columns: Sequence[Column]
) -> Iterator[tuple[str, NDArray[np.float32] | UserError]]:
    rows, wrong = encode(block.cells, columns, len(block.places))
    # The first wrong cell of each row.
    errors = {
        each.row: UserError(
            f"{table.where(block.places[each.row], each.column)} {each.expected}, as in training; "
            f"correct it. Received: {each.received!r}"
        )
        for each in reversed(wrong)
    }
    for number, (place, row) in enumerate(zip(block.places, rows, strict=True)):
        yield table.name(place), errors.get(number, row)

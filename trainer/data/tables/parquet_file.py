"""Parquet files; their values are read as the text that a CSV file would have."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from trainer.data.tables.blocks import Block, Broken, TableFile, opened, rows_per_block
from trainer.errors import UserError

# Larger numbers are not all different as float64.
_EXACT = 2**53


class ParquetFile(TableFile):
    """A table of typed columns.

    Numbers and strings, true and false, dates and timestamps are read; a missing value is the
    empty text.
    """

    unit = "row"

    def __init__(self, path: str):
        """Reads the schema.

        Raises:
          UserError: if the file is missing or not a Parquet file, or a column name is missing or
            repeated.
        """
        self.path = path
        with self._opened() as file:
            super().__init__(path, [name.strip() for name in file.schema_arrow.names])

    def blocks(self, columns: Sequence[str], broken: Broken | None = None) -> Iterator[Block]:
        """See the base class. Every row can be read; a column of lists etc. is an error."""
        del broken
        first = 0
        with self._opened() as file:
            stored = dict(zip(self.header, file.schema_arrow.names, strict=True))
            texts = {
                name: _as_text(file.schema_arrow.field(stored[name]).type, self.path, name)
                for name in columns
            }
            size = rows_per_block(len(columns))
            for batch in file.iter_batches(size, columns=[stored[name] for name in columns]):
                if batch.num_rows:
                    cells = {name: texts[name](batch.column(stored[name])) for name in columns}
                    yield Block(cells, range(first + 1, first + 1 + batch.num_rows))
                    first += batch.num_rows
        if not first:
            raise self.no_rows()

    def name(self, place: int) -> str:
        """See the base class."""
        return f"{self.path}:row {place}"

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        # Importing pyarrow takes a while, and no other source needs it.
        import pyarrow
        from pyarrow import parquet

        with opened(self.path) as file:
            try:
                yield parquet.ParquetFile(file)
            except (pyarrow.ArrowException, OSError) as error:
                reason = str(error).splitlines()[0].rstrip(".")
                raise UserError(
                    f"{self.path} is not a complete Parquet file; replace it. Received: {reason}"
                ) from error


def _as_text(kind: Any, path: str, column: str) -> Callable[[Any], list[str]]:
    """The function from an array of an Arrow type to cells.

    Raises:
      UserError: if values of the type are no cells.
    """
    import pyarrow
    from pyarrow import types

    if types.is_dictionary(kind):
        of_values = _as_text(kind.value_type, path, column)
        return lambda array: of_values(array.dictionary_decode())
    convert: Callable[[Any], str]
    if types.is_floating(kind):
        convert = _decimal_32 if kind.bit_width < 64 else _decimal
    elif types.is_string(kind) or types.is_large_string(kind):
        convert = str.strip
    elif types.is_boolean(kind):
        convert = {True: "true", False: "false"}.__getitem__
    elif types.is_integer(kind) or types.is_decimal(kind):
        convert = str
    elif types.is_date(kind):
        convert = _iso
    elif types.is_timestamp(kind):
        # Python's dates have microseconds.
        coarse = pyarrow.timestamp("us", kind.tz)
        return lambda array: _converted(array.cast(coarse, safe=False), _iso)
    elif types.is_null(kind):
        convert = str
    else:
        raise UserError(
            f"{path}, column {column!r} must have numbers, strings, booleans, dates or timestamps; "
            f"exclude it with data.ignore. Received: {kind}"
        )
    return lambda array: _converted(array, convert)


def _converted(array: Any, convert: Callable[[Any], str]) -> list[str]:
    return ["" if value is None else convert(value) for value in array.to_pylist()]


def _decimal(value: float) -> str:
    """The shortest text of a number; of an integer without a point, of NaN empty."""
    if value != value:
        return ""
    if value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return repr(value)


def _decimal_32(value: float) -> str:
    """As `_decimal`, the shortest text of a float32."""
    import numpy as np

    text = _decimal(value)
    return str(np.float32(value)) if "." in text else text


def _iso(value: Any) -> str:
    return str(value.isoformat())

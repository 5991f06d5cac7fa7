"""CSV files: any delimiter and encoding, also compressed with gzip; errors name the line."""

import codecs
import contextlib
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, cast

from trainer.data.tables.blocks import Block, Broken, TableFile, opened, rows_per_block
from trainer.errors import UserError

_DELIMITERS = (",", ";", "\t", "|")
_GZIP = b"\x1f\x8b"
# No encoding decodes to a lone surrogate; it marks bytes that cannot be decoded, so that the line
# they are on is known.
_UNDECODABLE = "\udcff"
_MARK = "trainer.undecodable"
codecs.register_error(_MARK, lambda error: (_UNDECODABLE, cast(UnicodeDecodeError, error).end))


class CSVFile(TableFile):
    """A text file of rows of cells, with a header."""

    def __init__(self, path: str, delimiter: str = "", encoding: str = ""):
        """Reads the header.

        Args:
          path: of the file, with any ending.
          delimiter: between cells; empty: comma, semicolon, tab or |, whichever the header has
            most of outside quotes.
          encoding: of the text; empty: UTF-16 if it has a byte order mark, else UTF-8.

        Raises:
          UserError: if the file is missing, empty or not text, the encoding is unknown, or a
            column name is missing or repeated.
        """
        self.path = path
        self._encoding = _known(encoding) if encoding else _detected(path)
        with self._lines() as lines:
            self._delimiter = delimiter or _delimiter(lines)
        with self._lines() as lines:
            header = next(self._rows(lines), None)
        if header is None:
            raise self.no_rows()
        super().__init__(path, [cell.strip() for cell in header[1]])

    def blocks(self, columns: Sequence[str], broken: Broken | None = None) -> Iterator[Block]:
        """See the base class. A row of another length than the header's cannot be read."""
        indices = [self.header.index(name) for name in columns]
        size = rows_per_block(len(self.header))
        width = len(self.header)
        empty = True
        with self._lines() as lines:
            rows = self._rows(lines)
            next(rows)
            failed: UserError | None = None
            while not failed:
                places, kept = [], []
                try:
                    for place, row in rows:
                        if len(row) == width:
                            places.append(place)
                            kept.append(row)
                            if len(kept) == size:
                                break
                        elif broken:
                            empty = False
                            broken(self.name(place), f"has {len(row)} cells, not {width}")
                        else:
                            raise UserError(
                                f"{self.where(place)} must have {width} cells. Received: {len(row)}"
                            )
                except UserError as error:
                    # The rows before it can be used.
                    failed = error
                if not kept:
                    break
                empty = False
                cells = list(zip(*kept, strict=True))
                yield Block(
                    {
                        name: [cell.strip() for cell in cells[index]]
                        for name, index in zip(columns, indices, strict=True)
                    },
                    places,
                )
        if failed:
            raise failed
        if empty:
            raise self.no_rows()

    def _rows(self, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """Each row that is not blank, with the line on which it ends; the header is the first."""
        # Quotes that are not closed are an error: the rest of the file would be one cell.
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        ended = 0
        try:
            for row in reader:
                ended = reader.line_num
                if row:
                    yield ended, row
        except csv.Error as error:
            raise UserError(
                f"{self.path}, line {ended + 1} is not a row of CSV; correct its quotes. "
                f"Received: {error}"
            ) from None

    @contextlib.contextmanager
    def _lines(self) -> Iterator[Iterator[str]]:
        with (
            _decompressed(self.path) as file,
            io.TextIOWrapper(file, self._encoding, errors=_MARK, newline="") as text,
        ):
            yield self._checked(text)

    def _checked(self, text: Iterable[str]) -> Iterator[str]:
        for place, line in enumerate(text, 1):
            if _UNDECODABLE in line or "\0" in line:
                raise UserError(
                    f"{self.path}, line {place} is not a text in {self._encoding.upper()}; "
                    "name the encoding with data.encoding, such as latin-1, or replace the file"
                )
            yield line.removeprefix("\ufeff") if place == 1 else line


def _known(encoding: str) -> str:
    try:
        "".encode(encoding)
    except LookupError:
        raise UserError(
            "data.encoding must be an encoding of text, such as utf-8, utf-16, latin-1 or cp1252. "
            f"Received: {encoding!r}"
        ) from None
    return encoding


def _detected(path: str) -> str:
    with _decompressed(path) as file:
        first = file.read(2)
    return "utf-16" if first in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"


def _delimiter(lines: Iterator[str]) -> str:
    """The delimiter that the first row has most of outside quotes; a comma if it has none."""
    text = ""
    for line in lines:
        text += line
        # A name may contain a line break in its quotes.
        if text.strip() and text.count('"') % 2 == 0:
            break
    outside = re.sub('"[^"]*"', "", text)
    return max(_DELIMITERS, key=outside.count)


@contextlib.contextmanager
def _decompressed(path: str) -> Iterator[BinaryIO]:
    with opened(path) as file:
        is_compressed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        try:
            yield cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_compressed else file
        # gzip's exceptions for a truncated and a corrupt file.
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(
                f"{path} cannot be decompressed ({type(error).__name__}); replace it with a "
                "complete file"
            ) from error

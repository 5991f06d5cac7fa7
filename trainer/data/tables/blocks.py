"""A table in a file as blocks of text cells, whatever its format."""

import abc
import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, cast

from trainer.errors import UserError, unknown_name
from trainer.io.paths import is_remote, to_path

# A block has at most this many rows, and about this many cells.
_ROWS, _CELLS = 8192, 2**20
# Takes the name of a row, and why it cannot be read.
Broken = Callable[[str, str], None]


@dataclasses.dataclass(frozen=True)
class Block:
    """Consecutive rows.

    Attributes:
      cells: of each column, stripped; of every row.
      places: of each row, the line of the file on which it ends, or its number, from 1.
    """

    cells: Mapping[str, Sequence[str]]
    places: Sequence[int]

    def take(self, rows: Sequence[int]) -> "Block":
        """Some of the rows, by their positions in the block."""
        if len(rows) == len(self.places):
            return self
        return Block(
            {name: [cells[row] for row in rows] for name, cells in self.cells.items()},
            [self.places[row] for row in rows],
        )


class TableFile(abc.ABC):
    """A file that is read in blocks, any number of times.

    Attributes:
      path: of the file.
      header: the distinct names of the columns.
    """

    # What a place is called in messages.
    unit = "line"

    def __init__(self, path: str, header: Sequence[str]):
        """Checks the names of the columns.

        Raises:
          UserError: if one is missing or repeated.
        """
        seen: set[str] = set()
        for place, name in enumerate(header):
            if not name or name in seen:
                raise UserError(
                    f"{path} must have a header with a distinct name per column. "
                    f"Received: {name!r} for column {place + 1}"
                )
            seen.add(name)
        self.path = path
        self.header = tuple(header)

    @abc.abstractmethod
    def blocks(self, columns: Sequence[str], broken: Broken | None = None) -> Iterator[Block]:
        """The rows in order; a block is read when it is asked for.

        Args:
          columns: the names of those to read.
          broken: is called for each row that cannot be read and is left out; None: it is an error.

        Raises:
          UserError: if a row cannot be read, or there are none.
        """

    def require(self, columns: Sequence[str], what: str) -> None:
        """Checks that there are columns of these names.

        Raises:
          UserError: if there is none; names the nearest, and `what` asked for it.
        """
        for name in columns:
            if name not in self.header:
                raise unknown_name(f"column of {self.path} in {what}", name, self.header)

    def where(self, place: int, column: str = "") -> str:
        """The row, and the column, for a message."""
        return f"{self.path}, {self.unit} {place}" + (f", column {column!r}" if column else "")

    def name(self, place: int) -> str:
        """The name of a row in results."""
        return f"{self.path}:{place}"

    def no_rows(self) -> UserError:
        """The error for a table without rows."""
        return UserError(f"{self.path} has no rows below its header")


def rows_per_block(columns: int) -> int:
    """The rows of a block of so many columns."""
    return max(1, min(_ROWS, _CELLS // max(1, columns)))


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """A file of the user, local or remote.

    Raises:
      UserError: if it is missing or cannot be read, also while it is open.
    """
    try:
        with to_path(path).open("rb") as file:
            yield cast(BinaryIO, file)
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{path} cannot be read: {reason.splitlines()[0]}") from error
    except UserError:
        raise
    except Exception as error:
        # A tf.errors.OpError of a remote file.
        if not is_remote(path):
            raise
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error

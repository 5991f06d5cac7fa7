"""Where the encoded rows of a file are: in memory, or in a file on disk."""

import abc
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.examples import Examples, InMemoryExamples
from trainer.data.tables.row_file import RowFile, RowFileExamples


class Store(abc.ABC):
    """Encoded rows, which are appended in parts and then read."""

    @abc.abstractmethod
    def append(self, rows: NDArray[np.float32]) -> None:
        """Adds rows `[N, columns]` behind those that are there."""

    @abc.abstractmethod
    def rows(self) -> NDArray[np.float32]:
        """All rows `[N, columns]`, which may be mapped from a file."""

    @abc.abstractmethod
    def examples(self, positions: NDArray[np.int64], targets: NDArray[Any]) -> Examples:
        """The rows at positions, with their targets, as examples."""


class MemoryStore(Store):
    """Rows in an array."""

    def __init__(self, count: int, width: int):
        """Makes place for `count` rows of `width` numbers."""
        self._rows = np.empty((count, width), np.float32)
        self._filled = 0

    def append(self, rows: NDArray[np.float32]) -> None:
        """See the base class."""
        self._rows[self._filled : self._filled + len(rows)] = rows
        self._filled += len(rows)

    def rows(self) -> NDArray[np.float32]:
        """See the base class."""
        return self._rows

    def examples(self, positions: NDArray[np.int64], targets: NDArray[Any]) -> Examples:
        """See the base class."""
        return InMemoryExamples(self._rows[positions], targets)


class DiskStore(Store):
    """Rows in a file of the cache directory."""

    def __init__(self, width: int):
        """Creates the file."""
        self._file = RowFile(width)

    def append(self, rows: NDArray[np.float32]) -> None:
        """See the base class."""
        self._file.append(rows)

    def rows(self) -> NDArray[np.float32]:
        """See the base class."""
        return self._file.mapped()

    def examples(self, positions: NDArray[np.int64], targets: NDArray[Any]) -> Examples:
        """See the base class."""
        return RowFileExamples(self._file, positions, targets)

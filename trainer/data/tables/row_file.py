"""Encoded rows in a file on disk, for tables that do not fit into memory."""

import os
import tempfile
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data import index_cache
from trainer.data.examples import Examples, read_on_host
from trainer.errors import UserError


class RowFile:
    """A file of float32 rows, which ends with the process."""

    def __init__(self, width: int):
        """Creates it in the cache directory, with rows of `width` numbers.

        Raises:
          UserError: if it cannot be created.
        """
        folder = index_cache.directory()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # It has no name, so that it is gone however the process ends.
            self._file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        except OSError as error:
            raise self._no_space(error) from error
        self.width = width

    def append(self, rows: NDArray[np.float32]) -> None:
        """Writes rows `[N, width]` behind those that are there.

        Raises:
          UserError: if there is no space.
        """
        try:
            self._file.write(rows.astype("<f4").tobytes())
            self._file.flush()
        except OSError as error:
            raise self._no_space(error) from error

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows float32 `[N, width]` at positions; any number of threads may call it."""
        size = 4 * self.width
        number = self._file.fileno()
        contents = b"".join(os.pread(number, size, place * size) for place in positions.tolist())
        return np.frombuffer(contents, "<f4").astype(np.float32).reshape(-1, self.width)

    def mapped(self) -> NDArray[np.float32]:
        """All rows, read from the file when they are used."""
        return np.memmap(self._file, "<f4", "r").reshape(-1, self.width)

    @staticmethod
    def _no_space(error: OSError) -> UserError:
        return UserError(
            f"the encoded rows cannot be written to {index_cache.directory()}: {error.strerror}; "
            "name another directory with the environment variable TRAINER_CACHE_DIR"
        )


class RowFileExamples(Examples):
    """Rows of a file, read by position."""

    def __init__(self, file: RowFile, positions: NDArray[np.int64], targets: NDArray[Any]):
        """Takes the positions int64 `[N]` in the file, and the targets `[N, ...]`."""
        self._file = file
        self._positions = positions
        self._targets = targets

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def targets(self) -> NDArray[Any]:
        """See the base class."""
        return self._targets

    def at(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the base class."""
        row = tf.TensorSpec([self._file.width], tf.float32)
        target = tf.TensorSpec(self._targets.shape[1:], self._targets.dtype)
        rows, targets = read_on_host(self._read, positions, row, target)
        return rows, targets

    def _read(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[Any]]:
        return self._file.read(self._positions[positions]), self._targets[positions]

    def select(self, positions: NDArray[np.int64]) -> "RowFileExamples":
        """See the base class."""
        return RowFileExamples(self._file, self._positions[positions], self._targets[positions])

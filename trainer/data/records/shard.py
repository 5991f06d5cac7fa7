"""Files of records: whether they have changed, and reading byte ranges of them."""

import dataclasses
import os
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.io.paths import is_remote


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of records, and what tells whether it has changed.

    Attributes:
      path: local or remote.
      size: bytes.
      modified: time of the last change, nanoseconds.
    """

    path: str
    size: int
    modified: int

    @classmethod
    def of(cls, path: str) -> "Shard":
        """The shard as it is now.

        Raises:
          tf.errors.OpError: if there is none.
        """
        found = tf.io.gfile.stat(path)
        # TensorFlow has whole seconds only.
        modified = found.mtime_nsec if is_remote(path) else os.stat(path).st_mtime_ns
        return cls(path, found.length, modified)

    def is_changed(self) -> bool:
        """Whether the file is not the one that was indexed."""
        return not tf.io.gfile.exists(self.path) or Shard.of(self.path) != self

    def read(self, ranges: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        """The bytes from each offset on, of each length.

        Raises:
          OSError or tf.errors.OpError: if the file is missing or has changed.
        """
        for content, (_, length) in zip(self._read(ranges), ranges, strict=True):
            if len(content) != length:
                raise OSError(f"{self.path} is shorter than when it was indexed")
            yield content

    def _read(self, ranges: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        if is_remote(self.path):
            with tf.io.gfile.GFile(self.path, "rb") as file:
                for offset, length in ranges:
                    file.seek(offset)
                    yield file.read(length)
            return
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            found = os.fstat(descriptor)
            if (found.st_size, found.st_mtime_ns) != (self.size, self.modified):
                raise OSError(f"{self.path} has changed since it was indexed")
            for offset, length in ranges:
                yield os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)


def read_ranges(
    shards: Sequence[Shard],
    files: NDArray[np.integer],
    offsets: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> list[bytes]:
    """The bytes of each range, in order. Each file is opened once; nothing is kept open.

    Args:
      shards: the files.
      files: the number of the shard of each range, `[B]`.
      offsets: of the first byte of each range, `[B]`.
      lengths: of each range, `[B]`.

    Raises:
      OSError or tf.errors.OpError: if a file is missing or has changed.
    """
    contents = [b""] * len(files)
    for file in np.unique(files):
        places = np.flatnonzero(files == file)
        ranges = [(int(offsets[place]), int(lengths[place])) for place in places]
        for place, content in zip(places, shards[int(file)].read(ranges), strict=True):
            contents[place] = content
    return contents

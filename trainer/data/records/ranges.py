"""Byte ranges of files, read at any position."""

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.io.paths import is_remote


def read_ranges(
    paths: Sequence[str],
    files: NDArray[np.integer],
    offsets: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> list[bytes]:
    """The bytes of each range, in order. Each file is opened once; nothing is kept open.

    Args:
      paths: of the files, local or remote.
      files: the number of the path of each range, `[B]`.
      offsets: of the first byte of each range, `[B]`.
      lengths: of each range, `[B]`.

    Raises:
      OSError or tf.errors.OpError: if a file is missing or ends before a range does.
    """
    contents = [b""] * len(files)
    for file in np.unique(files):
        places = np.flatnonzero(files == file)
        path = paths[int(file)]
        read = _read_remote if is_remote(path) else _read_local
        ranges = [(int(offsets[place]), int(lengths[place])) for place in places]
        for place, (content, (_, length)) in zip(
            places, zip(read(path, ranges), ranges, strict=True), strict=True
        ):
            if len(content) != length:
                raise OSError(f"{path} is shorter than when it was indexed")
            contents[place] = content
    return contents


def _read_local(path: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return [os.pread(descriptor, length, offset) for offset, length in ranges]
    finally:
        os.close(descriptor)


def _read_remote(path: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    contents = []
    with tf.io.gfile.GFile(path, "rb") as file:
        for offset, length in ranges:
            file.seek(offset)
            contents.append(file.read(length))
    return contents

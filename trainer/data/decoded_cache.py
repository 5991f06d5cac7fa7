"""Decoded images in a file of the cache directory, read by position."""

import contextlib
import hashlib
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data import index_cache
from trainer.data.examples import Examples, read_on_host
from trainer.data.records.shard import Shard
from trainer.errors import UserError

_VERSION = "1"


def keep_decoded(examples: Examples, shape: Sequence[int], feature: str = "") -> Examples:
    """The same examples, from a file that has their pixels; it is written unless it is there.

    Args:
      examples: uint8 images, N in all.
      shape: height, width and channels of each.
      feature: what distinguishes these images from others of examples with the same identities.

    Raises:
      UserError: if the file cannot be written.
    """
    digest = hashlib.sha256()
    for identity in examples.identities():
        digest.update(len(identity).to_bytes(8, "little") + identity)
    key = ("pixels", _VERSION, feature, repr(tuple(shape)), digest.hexdigest())
    path = index_cache.directory() / f"{index_cache.digest(key)}.pixels"
    size = len(examples) * math.prod(shape)
    if path.exists() and path.stat().st_size != size:
        path.unlink()
    if not path.exists():
        print(f"writing decoded images to {path} ({size / 2**30:.1f} GiB)", file=sys.stderr)
        try:
            _write(path, examples)
        except OSError as error:
            raise UserError(
                f"decoded images cannot be written to {path.parent}: {error.strerror}; set "
                "data.decoded_cache=false, or name another directory with the environment "
                "variable TRAINER_CACHE_DIR"
            ) from error
    return _DecodedExamples(path, np.arange(len(examples)), examples, shape)


def _write(path: Path, examples: Examples) -> None:
    """Creates the file at once: a reader never sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in examples.chunks():
                file.write(chunk.tobytes())
        # The file of another process has the same pixels, and may be in use.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)


class _DecodedExamples(Examples):
    """Examples whose pixels are in a file."""

    def __init__(
        self, path: Path, places: NDArray[np.int64], source: Examples, shape: Sequence[int]
    ):
        """Takes the file, the place of each example in it, and what they were decoded from."""
        self._file = Shard.of(str(path))
        self._path = path
        self._places = places
        self._source = source
        self._shape = tuple(shape)

    def __len__(self) -> int:
        return len(self._source)

    @property
    def targets(self) -> NDArray[Any]:
        """See the base class."""
        return self._source.targets

    def at(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the base class."""
        pixels, targets = read_on_host(
            self._read,
            positions,
            tf.TensorSpec(self._shape, tf.uint8),
            tf.TensorSpec(self.targets.shape[1:], self.targets.dtype),
        )
        return pixels, targets

    def _read(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        length = math.prod(self._shape)
        contents = self._file.read([(int(n) * length, length) for n in self._places[positions]])
        pixels = np.frombuffer(b"".join(contents), np.uint8).reshape(-1, *self._shape)
        return pixels, self.targets[positions]

    def select(self, positions: NDArray[np.int64]) -> "_DecodedExamples":
        """See the base class."""
        source = self._source.select(positions)
        return _DecodedExamples(self._path, self._places[positions], source, self._shape)

    def identities(self) -> Iterator[bytes]:
        """See the base class."""
        return self._source.identities()

    def digest(self, targets: NDArray[Any] | None = None) -> str:
        """See the base class."""
        return self._source.digest(targets)

    def changed_files(self) -> list[str]:
        """See the base class; among them the file of pixels if it is gone."""
        gone = [] if self._path.exists() else [str(self._path)]
        return gone + self._source.changed_files()

"""Image files with random access: an index of them, and reading at positions."""

import dataclasses
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data import index_cache
from trainer.data.decoding import decode_files
from trainer.data.examples import Examples, digest_of, read_on_host
from trainer.data.image_check import check_images
from trainer.data.reading_progress import ReadingProgress
from trainer.errors import UserError
from trainer.io.files import read_bytes
from trainer.io.paths import is_remote

_VERSION = "2"
_CHUNK = 256
_MOST_BYTES = 2**26
# Files of an object store wait for the network.
_THREADS = 16
_DIGEST = 16
_MISSING = (-1, -1)


@dataclasses.dataclass(frozen=True)
class ImageIndex:
    """Image files of a folder, and what was measured on them.

    Attributes:
      folder: local or remote.
      names: paths relative to the folder, UTF-8, bytes `[N]`.
      stamps: bytes, and time of the last change in nanoseconds, int64 `[N, 2]`.
      identities: digests of the contents, uint8 `[N, 16]`.
      codes: see `decode_any`, int8 `[N]`.
      sizes: height and width, int32 `[N, 2]`.
      broken: numbers of the files that cannot be used, ascending, int64 `[M]`.
      reasons: why, text `[M]`.
    """

    folder: str
    names: NDArray[np.bytes_]
    stamps: NDArray[np.int64]
    identities: NDArray[np.uint8]
    codes: NDArray[np.int8]
    sizes: NDArray[np.int32]
    broken: NDArray[np.int64]
    reasons: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.names)

    def path(self, file: int | np.integer) -> str:
        """The path of a file."""
        return os.path.join(self.folder, self.names[file].decode())

    def select(self, files: NDArray[np.integer]) -> "ImageIndex":
        """The index of some of the files, of which none is broken, in this order."""
        return ImageIndex(
            self.folder,
            self.names[files],
            self.stamps[files],
            self.identities[files],
            self.codes[files],
            self.sizes[files],
            self.broken[:0],
            self.reasons[:0],
        )

    def changed_files(self) -> list[str]:
        """The files that are not those that were indexed."""
        paths = [self.path(file) for file in range(len(self))]
        changed = np.flatnonzero((_stamps(paths) != self.stamps).any(axis=1))
        return [paths[file] for file in changed]


def index_images(folder: str, names: Sequence[str]) -> ImageIndex:
    """Reads and decodes every file once, or takes the index from the cache if none has changed.

    Args:
      folder: local or remote.
      names: paths relative to the folder.
    """
    paths = [os.path.join(folder, name) for name in names]
    stamps = _stamps(paths)
    # Messages have the folder as the user named it.
    place = folder if is_remote(folder) else os.path.abspath(folder)
    files = (
        f"{name}\0{size}\0{modified}"
        for name, (size, modified) in zip(names, stamps.tolist(), strict=True)
    )
    arrays = index_cache.cached(
        ("images", _VERSION, folder, place, *files),
        lambda: _measure(paths, stamps),
        int(stamps[:, 1].max()),
    )
    return ImageIndex(folder, np.array([name.encode() for name in names]), stamps, **arrays)


def _stamps(paths: Sequence[str]) -> NDArray[np.int64]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return np.array(list(pool.map(_stamp, paths)), np.int64).reshape(-1, 2)


def _stamp(path: str) -> tuple[int, int]:
    """The size and the time of the last change; -1 if it is no file."""
    try:
        if is_remote(path):
            remote = tf.io.gfile.stat(path)
            return remote.length, remote.mtime_nsec
        local = os.stat(path)
    except (OSError, tf.errors.NotFoundError):
        return _MISSING
    # Reading a pipe would not end.
    return (local.st_size, local.st_mtime_ns) if stat.S_ISREG(local.st_mode) else _MISSING


def _measure(paths: Sequence[str], stamps: NDArray[np.int64]) -> index_cache.Arrays:
    identities = np.zeros((len(paths), _DIGEST), np.uint8)
    codes = np.zeros(len(paths), np.int8)
    sizes = np.zeros((len(paths), 2), np.int32)
    broken: dict[int, str] = {}
    progress = ReadingProgress("reading and decoding images")
    missing = (stamps == _MISSING).all(axis=1).tolist()
    with ThreadPoolExecutor(_THREADS) as pool:
        for part in _parts(stamps[:, 0]):
            first = part.start
            contents, digests, reasons = zip(
                *pool.map(_read, paths[part], missing[part]), strict=True
            )
            checked = check_images(contents, paths[part])
            identities[part] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _DIGEST)
            codes[part] = checked.codes
            sizes[part] = checked.sizes
            for file, (reason, error) in enumerate(zip(reasons, checked.errors, strict=True)):
                if reason or error:
                    broken[first + file] = reason or error
            progress.add(len(contents))
    progress.end()
    return {
        "identities": identities,
        "codes": codes,
        "sizes": sizes,
        "broken": np.array(list(broken), np.int64),
        "reasons": np.array(list(broken.values()), np.str_),
    }


def _parts(sizes: NDArray[np.int64]) -> Iterator[slice]:
    """Ranges of files that are read at once: at most _CHUNK files of _MOST_BYTES together."""
    first = taken = 0
    for file, size in enumerate(sizes.tolist()):
        if file > first and (file - first == _CHUNK or taken + size > _MOST_BYTES):
            yield slice(first, file)
            first, taken = file, 0
        taken += size
    yield slice(first, len(sizes))


def _read(path: str, is_missing: bool) -> tuple[bytes, bytes, str]:
    """The contents of a file, their digest, and why it cannot be read."""
    contents, reason = b"", ""
    if is_missing:
        reason = f"no such file: {path}"
    else:
        try:
            contents = read_bytes(path)
        except UserError as error:
            reason = str(error)
    return contents, hashlib.blake2b(contents, digest_size=_DIGEST).digest(), reason


class ImageFileExamples(Examples):
    """Examples in image files; only their names, digests and targets are in memory."""

    def __init__(self, index: ImageIndex, targets: NDArray[Any], shape: Sequence[int]):
        """Takes the files, N in all, their targets `[N, ...]`, and height, width and channels."""
        self._index = index
        self._targets = targets
        self._shape = tuple(shape)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def targets(self) -> NDArray[Any]:
        """See the base class."""
        return self._targets

    def at(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the base class."""
        target = tf.TensorSpec(self._targets.shape[1:], self._targets.dtype)
        # In TensorFlow's memory each name would take several times its length.
        names, codes, targets = read_on_host(
            self._gather,
            positions,
            tf.TensorSpec([], tf.string),
            tf.TensorSpec([], tf.int32),
            target,
        )
        paths = tf.strings.join([os.path.join(self._index.folder, ""), names])
        return decode_files(paths, codes, self._shape), targets

    def _gather(
        self, positions: NDArray[np.int64]
    ) -> tuple[NDArray[np.bytes_], NDArray[np.int32], NDArray[Any]]:
        return (
            self._index.names[positions],
            self._index.codes[positions].astype(np.int32),
            self._targets[positions],
        )

    def select(self, positions: NDArray[np.int64]) -> "ImageFileExamples":
        """See the base class."""
        return ImageFileExamples(
            self._index.select(positions), self._targets[positions], self._shape
        )

    def identities(self) -> Iterator[bytes]:
        """See the base class."""
        return map(bytes, self._index.identities)

    def digest(self, targets: NDArray[Any] | None = None) -> str:
        """See the base class; reads no file."""
        own = self._targets if targets is None else targets
        return digest_of(self._index.identities, own)

    def changed_files(self) -> list[str]:
        """See the base class."""
        return self._index.changed_files()

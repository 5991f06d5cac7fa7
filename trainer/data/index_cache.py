"""Arrays that are measured once on a user's files and kept in a cache directory.

The directory is TRAINER_CACHE_DIR, or `trainer` in XDG_CACHE_HOME or `~/.cache`.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
# Of the modification times of files, nanoseconds; that of FAT file systems.
_RESOLUTION = 2 * 10**9


def cached(key: Iterable[str], measure: Callable[[], Arrays], newest: int = 0) -> Arrays:
    """The arrays of `measure`, from the cache if the key is known, memory-mapped.

    Args:
      key: everything that the arrays depend on, such as the name, the size and the modification
        time of each file, and a version of the measurement.
      newest: latest modification time of the files, nanoseconds. A file that was changed a moment
        ago may change again within the resolution of its time, so its arrays are not kept.
      measure: called at most once; its result is kept if the cache directory can be written.
    """
    if time.time_ns() - newest < _RESOLUTION:
        return measure()
    folder = directory() / digest(key)
    if not folder.exists():
        arrays = measure()
        try:
            _write(folder, arrays)
        except OSError:
            # The cache saves time only. It may be read-only, or its disk full.
            return arrays
    return {path.stem: np.load(path, mmap_mode="r") for path in folder.glob("*.npy")}


def directory() -> Path:
    """The cache directory; it need not exist."""
    if chosen := os.environ.get("TRAINER_CACHE_DIR"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "trainer")


def digest(key: Iterable[str]) -> str:
    """A file name for a key."""
    result = hashlib.sha256()
    for part in key:
        result.update(len(part).to_bytes(8, "little") + part.encode())
    return result.hexdigest()[:32]


def _write(folder: Path, arrays: Arrays) -> None:
    """Creates the folder with all arrays at once: a reader never sees a part of them."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}."))
    try:
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array)
        # Another process may have been faster; its arrays are the same.
        if not folder.exists():
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

"""Reads and writes whole files, local or remote. A reader never sees a partly written file."""

import errno
import fcntl
import json
import os
import time
from typing import Any

from trainer.errors import UserError
from trainer.io import fence
from trainer.io.paths import PathLike, is_remote, to_path


def read_bytes(path: PathLike) -> bytes:
    """Reads a file that the user named.

    Raises:
      UserError: if the file is missing or cannot be read.
    """
    try:
        return to_path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:
        # A tf.errors.OpError, which cannot be named without importing TensorFlow.
        if not is_remote(path):
            raise
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def read_text(path: PathLike) -> str:
    """Reads a UTF-8 text file."""
    return to_path(path).read_text(encoding="utf-8")


def read_json(path: PathLike) -> Any:
    """Reads a JSON file."""
    return json.loads(read_text(path))


def write_text(path: PathLike, text: str) -> None:
    """Writes a text file atomically and creates its parent directory.

    Local files are written to a temporary file, synced and renamed. An object store makes an
    object visible only once it is complete.
    """
    fence.check()
    target = to_path(path)
    if is_remote(path):
        target.write_text(text, encoding="utf-8")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
    sync(target.parent)


def write_json(path: PathLike, value: Any) -> None:
    """Writes a JSON file atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def sync(path: PathLike) -> None:
    """Makes a local file, or the names in a local directory, survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(descriptor: int, seconds: float) -> bool:
    """Locks an open local file for this process; returns whether it did within `seconds`.

    The lock ends with the last process that has the descriptor, however that ends.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.1)


def is_disk_full(error: Exception) -> bool:
    """Whether an OSError, or an error of TensorFlow's file system, means that no space is left."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return any(os.strerror(code) in str(error) for code in (errno.ENOSPC, errno.EDQUOT))

"""Reads and writes whole files, local or remote. A reader never sees a partly written file."""

import contextlib
import errno
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

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
    """Reads a JSON file of a work directory.

    Raises:
      UserError: if it is damaged.
    """
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}") from error


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


@contextlib.contextmanager
def writing(path: PathLike) -> Iterator[TextIO]:
    """A text file that has its name once it is complete; nothing is left if the block raises.

    Its parent directory is created. A remote file is first written to a temporary local one.

    Raises:
      UserError: if it cannot be written.
    """
    fence.check()
    try:
        with _remote_file(path) if is_remote(path) else _local_file(Path(path)) as file:
            yield file
    except OSError as error:
        # Others are of what the block reads.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _local_file(path: Path) -> Iterator[TextIO]:
    # A link stays one.
    path = path.resolve()
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        # A device or a pipe has no content to protect.
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _failures_as_user_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # The csv module ends its lines itself.
        opened = temporary.open("w", encoding="utf-8", newline="")
    try:
        with opened as file:
            yield file
            with _failures_as_user_errors(path):
                file.flush()
                os.fsync(file.fileno())
        with _failures_as_user_errors(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


@contextlib.contextmanager
def _failures_as_user_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _remote_file(path: PathLike) -> Iterator[TextIO]:
    from trainer.compat.keras import tf

    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as file:
        yield cast(TextIO, file)
        file.flush()
        try:
            tf.io.gfile.copy(file.name, os.fspath(path), overwrite=True)
        except tf.errors.OpError as error:
            raise UserError(f"{path} cannot be written ({type(error).__name__})") from error


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

"""Local directories: may they be read and written, is there room."""

import os
import shutil
import tempfile

from trainer.doctor.finding import Finding, Level

# GB. A run of the configurations here writes tens of MB; a large network's checkpoint some GB.
_LITTLE = 5.0
_TOO_LITTLE = 0.5


def is_remote(path: str) -> bool:
    """Whether only TensorFlow can open a path."""
    return "://" in path


def check_temporary() -> Finding:
    """Whether there is a temporary directory, which TensorFlow and we need."""
    try:
        return Finding("temporary", "ok", f"{tempfile.gettempdir()} can be written")
    except FileNotFoundError:
        text = "no temporary directory can be written"
        return Finding("temporary", "fail", text, "name one in TMPDIR; docker run --tmpfs /tmp")


def check_workdir(path: str) -> list[Finding]:
    """Whether a local work directory, or the folder it will be made in, can be written."""
    existing = _existing(path)
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        text = f"{existing} cannot be written: {error.strerror}"
        remedy = f"take another directory, or give it to user {os.geteuid()}: chown"
        return [Finding("workdir", "fail", text, remedy)]
    return [Finding("workdir", "ok", f"{existing} can be written"), check_disk(existing)]


def check_disk(path: str) -> Finding:
    """Free space where a local path lies."""
    free = shutil.disk_usage(_existing(path)).free / 1e9
    text = f"{free:.1f} GB are free in {path}"
    if free > _LITTLE:
        return Finding("disk", "ok", text)
    level: Level = "warn" if free > _TOO_LITTLE else "fail"
    return Finding("disk", level, text, "remove old runs, or take another --workdir")


def check_data_dir(path: str, is_asked_for: bool) -> Finding:
    """Whether local data can be read; writing is only for those who prepare it."""
    try:
        count = len(os.listdir(path))
    except OSError as error:
        text = f"{path} cannot be read: {error.strerror}"
        level: Level = "fail" if is_asked_for else "warn"
        return Finding("data_dir", level, text, "name another with --data_dir or TFDS_DATA_DIR")
    access = "read and written" if os.access(path, os.W_OK) else "read, not written"
    return Finding("data_dir", "ok", f"{path} can be {access}, {count} entries")


def _existing(path: str) -> str:
    """The path itself, or the nearest folder above it that exists."""
    path = os.path.abspath(path)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path

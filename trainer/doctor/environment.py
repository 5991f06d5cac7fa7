"""Checks TF_CONFIG, local directories and free disk space."""

import os
import shutil
import socket
import tempfile

from trainer.doctor.finding import Finding, Level, from_error
from trainer.engine import cluster
from trainer.errors import UserError
from trainer.io.paths import nearest_existing

# GB. A run of the included configurations writes tens of MB; a large model's checkpoint some GB.
_LOW_DISK = 5.0
_TOO_LOW_DISK = 0.5


def check_hosts() -> Finding:
    """Checks that TF_CONFIG is valid and that its hosts can be resolved."""
    try:
        addresses = cluster.training_hosts()
    except UserError as error:
        return from_error("TF_CONFIG", error)
    if not addresses:
        return Finding("TF_CONFIG", Level.OK, "not set: one host")
    unknown = [address for address in addresses if not _resolves(address)]
    if unknown:
        text = f"cannot resolve {', '.join(unknown)}"
        return Finding("TF_CONFIG", Level.FAIL, text, "use host names that this host can resolve")
    return Finding("TF_CONFIG", Level.OK, f"{len(addresses)} processes: {', '.join(addresses)}")


def check_temporary() -> Finding:
    """Checks that a temporary directory is writable; TensorFlow and trainer need one."""
    try:
        return Finding("temporary", Level.OK, f"{tempfile.gettempdir()} is writable")
    except FileNotFoundError:
        text = "no temporary directory is writable"
        return Finding("temporary", Level.FAIL, text, "set TMPDIR, or use docker run --tmpfs /tmp")


def check_workdir(path: str) -> list[Finding]:
    """Checks that a local work directory, or its nearest existing parent, is writable."""
    existing = nearest_existing(path)
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        text = f"{existing} is not writable: {error.strerror}"
        remedy = f"choose another directory, or change its owner to user {os.geteuid()} with chown"
        return [Finding("workdir", Level.FAIL, text, remedy)]
    return [Finding("workdir", Level.OK, f"{existing} is writable"), check_disk(existing)]


def check_disk(path: str) -> Finding:
    """Checks the free space of the disk that contains a local path."""
    free = shutil.disk_usage(nearest_existing(path)).free / 1e9
    text = f"{free:.1f} GB free in {path}"
    if free > _LOW_DISK:
        return Finding("disk", Level.OK, text)
    level = Level.WARN if free > _TOO_LOW_DISK else Level.FAIL
    return Finding("disk", level, text, "remove old runs, or choose another --workdir")


def check_data_dir(path: str, is_required: bool) -> Finding:
    """Checks that a local data directory is readable. It is writable only to prepare data.

    Args:
      path: the directory.
      is_required: whether a missing directory is a failure rather than a warning.
    """
    try:
        count = len(os.listdir(path))
    except OSError as error:
        text = f"{path} cannot be read: {error.strerror}"
        level = Level.FAIL if is_required else Level.WARN
        return Finding("data_dir", level, text, "set --data_dir or TFDS_DATA_DIR to another one")
    access = "readable and writable" if os.access(path, os.W_OK) else "readable, not writable"
    return Finding("data_dir", Level.OK, f"{path} is {access}, {count} entries")


def _resolves(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        return bool(socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM))
    except OSError:
        return False

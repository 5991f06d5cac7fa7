"""The lock of a work directory: one process writes it at a time.

A local directory is locked with flock, which the kernel releases when the process ends, however
it ends. A bucket has no such lock. There the holder renews a lease object, and a lease that is
not renewed for a while can be taken over.
"""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator

from trainer.compat.keras import tf
from trainer.engine.workdir import WorkDirectory
from trainer.errors import Interrupted, UserError
from trainer.io import files
from trainer.io.paths import is_remote

# A killed process releases its lock a moment after its end.
_LOCAL_TIMEOUT_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class LeaseTiming:
    """Seconds between two renewals, and without renewal until others may take a lease over."""

    renew: float = 5.0
    expire: float = 30.0


@contextlib.contextmanager
def held(path: str, timing: LeaseTiming = LeaseTiming()) -> Iterator[Callable[[], None]]:
    """Holds the lock of the work directory `path`, which exists.

    A process that loses its lease, because it was suspended or had no network for long, gets
    SIGTERM.

    Yields:
      A function to call before writing. It raises Interrupted once the lease is lost.

    Raises:
      UserError: if another process holds the lock.
    """
    file = WorkDirectory(path).lock
    if is_remote(path):
        with _Lease(file, path, timing) as lease:
            yield lease.check
    else:
        with _flock(file, path):
            yield lambda: None


def _taken(path: str, holder: str) -> UserError:
    return UserError(
        f"another process{holder} is training in --workdir={path}; wait for it to end, stop it, or "
        "choose another directory"
    )


@contextlib.contextmanager
def _flock(file: str, path: str) -> Iterator[None]:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not files.lock(descriptor, _LOCAL_TIMEOUT_SECONDS):
            raise _taken(path, "")
        yield
    finally:
        os.close(descriptor)


class _Lease:
    """A lease object, renewed by a thread. No clocks of two hosts are compared."""

    def __init__(self, file: str, path: str, timing: LeaseTiming):
        self._file = file
        self._path = path
        self._timing = timing
        self._token = uuid.uuid4().hex
        self._renewals = 0
        self._is_lost = False
        self._ended = threading.Event()
        self._renewer = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> "_Lease":
        self._wait_until_free()
        self._write()
        # Of two that write at the same time, the later one's content stays.
        time.sleep(self._timing.renew / 2)
        if self._holder() != self._token:
            raise _taken(self._path, "")
        self._renewer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._renewer.join()
        if not self._is_lost:
            tf.io.gfile.remove(self._file)

    def check(self) -> None:
        """Raises Interrupted if another process has taken the lease over."""
        if self._is_lost:
            raise Interrupted(f"another process has taken over --workdir={self._path}")

    def _wait_until_free(self) -> None:
        first = self._read()
        if first is None or _has_ended_here(first):
            return
        host = json.loads(first)["host"]
        print(
            f"waiting up to {self._timing.expire:.0f} s for the lock of --workdir={self._path}, "
            f"last held by a process on {host}",
            file=sys.stderr,
        )
        until = time.monotonic() + self._timing.expire
        while time.monotonic() < until:
            time.sleep(self._timing.renew / 2)
            content = self._read()
            if content is None:
                return
            if content != first:
                raise _taken(self._path, f" on {host}")

    def _renew(self) -> None:
        while not self._ended.wait(self._timing.renew):
            # A network that fails for a moment is no loss of the lease.
            with contextlib.suppress(tf.errors.OpError):
                if self._holder() != self._token:
                    self._is_lost = True
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
                self._write()

    def _write(self) -> None:
        self._renewals += 1
        content = {
            "token": self._token,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "renewals": self._renewals,
        }
        with tf.io.gfile.GFile(self._file, "w") as file:
            file.write(json.dumps(content))

    def _read(self) -> str | None:
        try:
            with tf.io.gfile.GFile(self._file) as file:
                return file.read()
        except tf.errors.NotFoundError:
            return None

    def _holder(self) -> str:
        content = self._read()
        return json.loads(content)["token"] if content else ""


def _has_ended_here(content: str) -> bool:
    """Whether the holder of a lease was a process of this host that has ended."""
    lease = json.loads(content)
    if lease["host"] != socket.gethostname():
        return False
    try:
        os.kill(lease["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # A container's first process can have the same number as its predecessor.
    return lease["pid"] == os.getpid()

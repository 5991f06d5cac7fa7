"""One searching process a directory, and none while a trial of an earlier one still runs."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from trainer.errors import UserError
from trainer.tune.files import Layout

# A trial dies with the process that started it, not in the same instant.
_PATIENCE_SECONDS = 10.0


@contextmanager
def held(layout: Layout) -> Iterator[tuple[int, ...]]:
    """Holds a search's lock; its descriptors, inherited, hold it until every heir has ended.

    Buckets have no locks; there are no descriptors then.

    Raises:
      UserError: if another search holds it, or the directory cannot be written.
    """
    if layout.is_remote:
        yield ()
        return
    descriptor = _open(layout)
    try:
        _lock(descriptor, str(layout.root))
        yield (descriptor,)
    finally:
        os.close(descriptor)


def _open(layout: Layout) -> int:
    try:
        os.makedirs(layout.root, exist_ok=True)
        return os.open(layout.lock, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise UserError(
            f"--workdir cannot be written ({error.strerror}); take another directory. "
            f"Received: {str(layout.root)!r}"
        ) from None


def _lock(descriptor: int, root: str) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise UserError(
                    "another search is running in --workdir; wait for it, or stop it. "
                    f"Received: {root!r}"
                ) from None
            time.sleep(0.1)

"""The lock of a search directory: one search at a time, its remaining trials included."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from trainer.errors import UserError
from trainer.io import files
from trainer.tune.layout import Layout

# The trials of a killed search end a moment after it.
_TIMEOUT_SECONDS = 10.0


@contextmanager
def held(layout: Layout) -> Iterator[tuple[int, ...]]:
    """Holds the lock of a search.

    Processes that inherit the yielded file descriptors hold the lock too, until all have
    ended. Buckets have no lock and no descriptors.

    Raises:
      UserError: if another search holds the lock, or the directory is not writable.
    """
    if layout.is_remote:
        yield ()
        return
    descriptor = _open(layout)
    try:
        if not files.lock(descriptor, _TIMEOUT_SECONDS):
            raise UserError(
                f"another search is running in --workdir {str(layout.root)!r}; wait for it to end, "
                "or stop it"
            )
        yield (descriptor,)
    finally:
        os.close(descriptor)


def _open(layout: Layout) -> int:
    try:
        os.makedirs(layout.root, exist_ok=True)
        return os.open(layout.lock, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise UserError(
            f"--workdir {str(layout.root)!r} is not writable ({error.strerror}); choose another "
            "directory"
        ) from None

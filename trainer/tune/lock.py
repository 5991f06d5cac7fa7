"""One searching process a directory, and none while a trial of an earlier one still runs."""

import fcntl
import os
import time
from pathlib import Path

from trainer.errors import UserError

# A trial dies with the process that started it, not in the same instant.
_PATIENCE_SECONDS = 10.0


def take(path: Path) -> int:
    """Locks a file until every process that inherits its descriptor has ended.

    Raises:
      UserError: if another search holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > until:
                raise UserError(
                    "another search is running in --workdir; wait for it, or stop it. "
                    f"Received: {str(path.parent)!r}"
                ) from None
            time.sleep(0.1)

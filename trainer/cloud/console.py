"""Prints the output of a job, and messages about the submission, without secrets."""

import contextlib
import sys
import threading
from collections.abc import Callable


class Console:
    """Prints whole redacted lines. Thread-safe.

    Errors of the terminal are ignored, whether it was closed, its pipe is broken or it cannot
    encode a character: the line is lost, but the submission continues and deletes its machines.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self.redact = redact
        self._lock = threading.Lock()

    def output(self, line: str) -> None:
        """Prints a line of the job's standard output."""
        with self._lock, contextlib.suppress(OSError, UnicodeError):
            print(self.redact(line), flush=True)

    def note(self, line: str) -> None:
        """Prints a message, or a line of a program's standard error, to standard error."""
        with self._lock, contextlib.suppress(OSError, UnicodeError):
            print(self.redact(line), file=sys.stderr, flush=True)

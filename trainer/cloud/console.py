"""What the user sees of a submission: the job's lines, and ours about it; no secrets."""

import contextlib
import sys
import threading
from collections.abc import Callable


class Screen:
    """Prints whole lines, each without its secrets; may be called from any thread.

    A terminal that was closed, a pipe nobody reads, or a letter that the terminal's encoding has
    not, is no reason to leave machines behind: the line is lost, the work goes on.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self.redact = redact
        self._lock = threading.Lock()

    def output(self, line: str) -> None:
        """A line of the job's standard output."""
        with self._lock, contextlib.suppress(OSError, UnicodeError):
            print(self.redact(line), flush=True)

    def note(self, line: str) -> None:
        """A line about the submission, or of a program's standard error."""
        with self._lock, contextlib.suppress(OSError, UnicodeError):
            print(self.redact(line), file=sys.stderr, flush=True)

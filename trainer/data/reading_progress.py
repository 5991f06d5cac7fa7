"""A line on a terminal that says how far a long reading has come."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

_FIRST_AFTER = 2.0
_EVERY = 0.5


class ReadingProgress:
    """Counts records on a terminal; prints nothing if reading is short or there is no terminal."""

    def __init__(
        self,
        what: str,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Takes what is read, where to print (default: stderr), and a clock in seconds."""
        self._what = what
        self._stream = stream or sys.stderr
        self._clock = clock
        self._next = clock() + _FIRST_AFTER
        self._records = 0
        self._has_printed = False

    def add(self, records: int) -> None:
        """Counts records that were read."""
        self._records += records
        if self._clock() >= self._next and self._stream.isatty():
            self._next = self._clock() + _EVERY
            self._has_printed = True
            self._print("")

    def end(self) -> None:
        """Ends the line."""
        if self._has_printed:
            self._print("\n")

    def _print(self, end: str) -> None:
        line = f"\r{self._what}: {self._records:,} examples"
        print(line, end=end, file=self._stream, flush=True)

"""SIGINT and SIGTERM as a request that the run stops where its state is whole."""

import contextlib
import signal
import sys
from types import FrameType


class StopRequest:
    """Remembers that a signal asked to stop; nothing is interrupted by it.

    Use it as a context manager: the handlers that were there come back on leaving.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        first, self.requested = not self.requested, True
        if first:
            # The same Ctrl-C may have ended who reads stderr, and a signal may come amid a print.
            with contextlib.suppress(OSError, RuntimeError):
                print(f"\n{signal.Signals(number).name}: saving, then stopping", file=sys.stderr)

"""Turns SIGINT and SIGTERM into a request to stop at the next consistent state."""

import contextlib
import signal
import sys
from types import FrameType


class StopRequest:
    """Records that a signal requested to stop, without interrupting anything.

    Use it as a context manager, which restores the previous signal handlers on exit.

    Attributes:
      requested: whether a signal was received.
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
            # stderr may be closed, and a signal may arrive during another print.
            with contextlib.suppress(OSError, RuntimeError):
                print(
                    f"\n{signal.Signals(number).name}: saving the state, then stopping",
                    file=sys.stderr,
                )

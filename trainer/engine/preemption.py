"""Turns SIGINT, SIGTERM and SIGHUP into a request to stop at the next consistent state."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from trainer.errors import EXIT_INTERRUPTED, Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# How long compiled code may keep Python from handling a signal before the process ends without it.
_PATIENCE_SECONDS = 3.0


class StopRequest:
    """Records that a signal requested to stop.

    Use it as a context manager, which restores the previous signal handlers on exit. The
    second signal restores them too, so a third ends the process. A signal that was ignored
    stays ignored, as SIGHUP under nohup.

    Within `at_once` a signal ends the process without waiting until somebody reads `requested`.

    Attributes:
      requested: whether a signal was received.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, object] = {}
        self._previous_wakeup = -1
        self._sockets: tuple[socket.socket, ...] = ()
        # What is saved where a signal ends the process at once; empty elsewhere.
        self._at_once = ""

    def __enter__(self) -> "StopRequest":
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._handle)
        read, write = self._sockets = socket.socketpair()
        write.setblocking(False)
        self._previous_wakeup = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(read,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore_handlers()
        signal.set_wakeup_fd(self._previous_wakeup)
        # The watching thread reads the end of the stream, and ends.
        self._sockets[1].close()

    @contextlib.contextmanager
    def at_once(self, message: str) -> Iterator[None]:
        """A context in which nothing unsaved would be lost: a signal ends the process at once.

        Python handles a signal between two of its instructions. Where compiled code keeps it
        from that, a thread ends the process with status 75 after some seconds.

        Args:
          message: says what is saved.

        Raises:
          Interrupted: with `message`, on a signal within the context or before it.
        """
        previous = self._at_once
        try:
            self._at_once = message
            if self.requested:
                raise _StoppedAtOnce
            yield
        except _StoppedAtOnce:
            raise Interrupted(message) from None
        finally:
            self._at_once = previous

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """A context within `at_once` in which a signal is only recorded, until it is left."""
        previous, self._at_once = self._at_once, ""
        try:
            yield
        finally:
            self._at_once = previous
        if self.requested and self._at_once:
            raise _StoppedAtOnce

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        first, self.requested = not self.requested, True
        if not first:
            self._restore_handlers()
            _say(f"{signal.Signals(number).name}: the next one stops without saving the state")
        elif self._at_once:
            raise _StoppedAtOnce
        else:
            _say(f"{signal.Signals(number).name}: saving the state, then stopping")

    def _restore_handlers(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous = {}

    def _watch(self, signals: socket.socket) -> None:
        """Ends the process if Python does not handle a signal although it could stop at once."""
        with signals:
            while received := signals.recv(1):
                time.sleep(_PATIENCE_SECONDS)
                # Not yet requested: the main thread has been in compiled code all the time.
                if received[0] in _SIGNALS and self._at_once and not self.requested:
                    _say(f"{self._at_once}; run the same command to resume")
                    os._exit(EXIT_INTERRUPTED)


class _StoppedAtOnce(BaseException):
    """Raised by the signal handler. No `except Exception` of a library can swallow it."""


def _say(line: str) -> None:
    # stderr may be closed, and a signal may arrive during another print.
    with contextlib.suppress(OSError, RuntimeError):
        print(f"\n{line}", file=sys.stderr, flush=True)

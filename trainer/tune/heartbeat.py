"""The heartbeats of a trial, from a thread of their own."""

import threading
from collections.abc import Callable

from trainer.tune.coordinator import Coordinator, HeartbeatReply

_SECONDS = 1.0


class Heartbeat:
    """Sends heartbeats until it is closed, however busy the thread of the worker is.

    Copies of checkpoints and uploads may take longer than the coordinator waits.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        worker: str,
        trial_id: str,
        on_lost: Callable[[], None],
    ):
        """Starts the thread, which calls `on_lost` if the trial is lost."""
        self._coordinator = coordinator
        self._worker = worker
        self._trial_id = trial_id
        self._on_lost = on_lost
        self._reply = HeartbeatReply.CONTINUE
        self._error: Exception | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{worker}", daemon=True)
        self._thread.start()

    def check(self) -> HeartbeatReply:
        """Returns the last reply, or raises the error that ended the heartbeats."""
        if self._error is not None:
            raise self._error
        return self._reply

    def close(self) -> None:
        """Sends no more heartbeats after it has returned."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closed.wait(_SECONDS):
                self._reply = self._coordinator.heartbeat(self._worker, self._trial_id)
                if self._reply is HeartbeatReply.LOST:
                    self._on_lost()
                    return
        except Exception as error:
            self._error = error

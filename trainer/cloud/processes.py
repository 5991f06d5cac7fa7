"""Child processes whose lines are shown, or kept, as they come."""

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from typing import IO

from trainer.cloud.plan import Command

Show = Callable[[str], None]
# Of standard error, for the message when a command fails.
_LINES_KEPT = 40
_SECONDS_TO_END = 10.0


class Child:
    """A running command, in a process group of its own: a Ctrl-C here does not reach it.

    Attributes:
      output: the lines of standard output, where they are not shown.
      errors: the last lines of standard error.
    """

    def __init__(self, command: Command, show_output: Show | None, show_errors: Show | None):
        """Starts it."""
        self.output: list[str] = []
        self.errors: deque[str] = deque(maxlen=_LINES_KEPT)
        process = self._process = subprocess.Popen(
            command.argv,
            stdin=subprocess.PIPE if command.text else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdin is not None:
            # One that ends without reading says why by itself.
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(command.text)
        self._readers = [
            threading.Thread(target=_read, args=arguments, daemon=True)
            for arguments in (
                (process.stdout, show_output or self.output.append),
                (process.stderr, self._keep_and(show_errors)),
            )
        ]
        for reader in self._readers:
            reader.start()

    def _keep_and(self, show: Show | None) -> Show:
        def keep(line: str) -> None:
            self.errors.append(line)
            if show is not None:
                show(line)

        return keep

    def wait(self, seconds: float) -> int | None:
        """Its exit status, all its lines read; None if it still runs after so long."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        for reader in self._readers:
            # A grandchild may hold the pipe open; nobody waits for it.
            reader.join(_SECONDS_TO_END)
        return status

    def end(self) -> None:
        """Ends it and its children, by force if need be."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                os.killpg(self._process.pid, number)
                self.wait(_SECONDS_TO_END)


def _read(stream: IO[str], receive: Show) -> None:
    with stream:
        for line in stream:
            receive(line.rstrip("\n"))

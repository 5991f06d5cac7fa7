"""Child processes whose output is shown or collected line by line."""

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO

Show = Callable[[str], None]
# Of standard error, for the message when a command fails.
_MAX_ERROR_LINES = 40
_EXIT_TIMEOUT = 10.0


class Child:
    """A running command. It has its own process group, so that Ctrl-C does not reach it.

    Attributes:
      output: the lines of standard output, unless they are shown.
      errors: the last lines of standard error.
    """

    def __init__(
        self,
        argv: Sequence[str],
        text: str = "",
        show_output: Show | None = None,
        show_errors: Show | None = None,
    ) -> None:
        """Starts the command.

        Args:
          argv: the command line.
          text: its standard input.
          show_output: receives each line of standard output; None collects them in `output`.
          show_errors: receives each line of standard error too.
        """
        self.output: list[str] = []
        self.errors: deque[str] = deque(maxlen=_MAX_ERROR_LINES)
        process = self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if text else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdin is not None:
            # A program that exits without reading reports the reason itself.
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(text)
        self._readers = [
            threading.Thread(target=_read, args=arguments, daemon=True)
            for arguments in (
                (process.stdout, show_output or self.output.append),
                (process.stderr, self._collect(show_errors)),
            )
        ]
        for reader in self._readers:
            reader.start()

    def _collect(self, show: Show | None) -> Show:
        def collect(line: str) -> None:
            self.errors.append(line)
            if show is not None:
                show(line)

        return collect

    def wait(self, seconds: float) -> int | None:
        """Returns the exit status once all lines are read; None after a timeout."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        for reader in self._readers:
            # A grandchild may hold the pipe open; do not wait for it.
            reader.join(_EXIT_TIMEOUT)
        return status

    def terminate(self) -> None:
        """Terminates the command and its children, and kills them if necessary."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                os.killpg(self._process.pid, number)
                self.wait(_EXIT_TIMEOUT)


def _read(stream: IO[str], receive: Show) -> None:
    with stream:
        for line in stream:
            receive(line.rstrip("\n"))

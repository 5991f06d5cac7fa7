"""A batch of Gymnasium environments that several processes step."""

import itertools
import mmap
import multiprocessing
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from trainer.config.rl import Environment as EnvironmentConfig
from trainer.errors import UserError
from trainer.rl.envs.gymnasium_batch import StepArrays, arrays_in, memory_size
from trainer.rl.envs.gymnasium_episode import Episode
from trainer.rl.envs.gymnasium_spaces import Interface
from trainer.rl.envs.gymnasium_worker import Assignment

# Seconds that a worker may take for the step in which it is told to end.
_PATIENCE = 5


class Workers:
    """Does as one `EnvironmentBatch`; each process steps a part of the environments.

    Observations, actions and rewards lie in shared memory, and a pipe to each process carries the
    calls. The processes are new ones: a fork of one that runs TensorFlow may deadlock, and
    `multiprocessing` would import the main module of the program again. A process ends when its
    pipe is closed, so none outlives this one.

    Attributes:
      arrays: of the whole batch.
    """

    arrays: StepArrays

    def __init__(
        self, config: EnvironmentConfig, interface: Interface, size: int, counts_lives: bool
    ):
        """Starts `config.workers` processes, or one for each environment if these are fewer.

        Raises:
          UserError: if a process cannot create its environments.
        """
        count = min(config.workers, size)
        bounds = [size * number // count for number in range(count + 1)]
        self._rows = [slice(*pair) for pair in itertools.pairwise(bounds)]
        with _memory_file() as file:
            number_of_bytes = memory_size(interface, size)
            file.truncate(number_of_bytes)
            self.arrays = arrays_in(mmap.mmap(file.fileno(), number_of_bytes), interface, size)
            self._workers = [_Worker(config.name, number, file.fileno()) for number in range(count)]
            self._each(
                Assignment(config, counts_lives, file.fileno(), size, rows) for rows in self._rows
            )

    def reset(self, key: str, first: int) -> None:
        """See `EnvironmentBatch`."""
        self._each(("reset", (key, first + rows.start)) for rows in self._rows)

    def step(self) -> None:
        """See `EnvironmentBatch`."""
        self._each(("step", ()) for _ in self._rows)

    def episodes(self) -> list[Episode]:
        """See `EnvironmentBatch`."""
        return [
            episode for part in self._each(("episodes", ()) for _ in self._rows) for episode in part
        ]

    def repeat(self, episodes: Sequence[Episode]) -> str:
        """See `EnvironmentBatch`."""
        reasons = self._each(("repeat", (episodes[rows],)) for rows in self._rows)
        return next((reason for reason in reasons if reason), "")

    def _each(self, messages: Iterable[Any]) -> list[Any]:
        """Sends one message to each worker and returns their results.

        Raises:
          UserError: if a worker raised one or ended; all others have answered before.
        """
        for worker, message in zip(self._workers, messages, strict=True):
            worker.send(message)
        answers = [worker.receive() for worker in self._workers]
        for error, _ in answers:
            if error:
                raise UserError(error)
        return [result for _, result in answers]


class _Worker:
    def __init__(self, name: str, number: int, memory: int):
        self._title = f"worker {number} of environment {name!r}"
        self._connection, theirs = multiprocessing.Pipe()
        program = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            "from trainer.rl.envs import gymnasium_worker; "
            f"gymnasium_worker.main({theirs.fileno()})"
        )
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), memory),
            )
        weakref.finalize(self, _end, self._connection, self._process)

    def send(self, message: Any) -> None:
        try:
            self._connection.send(message)
        except ConnectionError:
            # The process has ended, which `receive` reports.
            return

    def receive(self) -> tuple[str, Any]:
        """The text of an error, or an empty one, and the result."""
        try:
            error, result = self._connection.recv()
        except (EOFError, ConnectionError):
            status = self._process.wait()
            return (
                f"{self._title} ended with exit status {status}; if memory ran out, use fewer "
                "environments or environment.workers. Run the command again to continue",
                None,
            )
        return error, result


def _end(connection: Connection, process: subprocess.Popen[bytes]) -> None:
    connection.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _memory_file() -> Any:
    """An open file without a name, in memory where the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("environments"), "w+b")
    return tempfile.TemporaryFile()

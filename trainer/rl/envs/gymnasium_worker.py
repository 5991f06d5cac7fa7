"""The process that steps a part of a batch of Gymnasium environments; it runs no TensorFlow."""

import itertools
import mmap
import os
import signal
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from trainer.config.rl import Environment as EnvironmentConfig
from trainer.errors import UserError
from trainer.rl.envs import gymnasium_registry
from trainer.rl.envs.gymnasium_batch import EnvironmentBatch, arrays_in, memory_size
from trainer.rl.envs.gymnasium_spaces import interface


class Assignment(NamedTuple):
    """What a worker steps.

    Attributes:
      config: the environment.
      counts_lives: see `EnvironmentBatch`.
      memory: descriptor of the file that holds the arrays of the whole batch.
      size: environments of the whole batch.
      rows: those of this worker.
    """

    config: EnvironmentConfig
    counts_lives: bool
    memory: int
    size: int
    rows: slice


def main(descriptor: int) -> None:
    """Answers calls of the methods of an `EnvironmentBatch` until the other end is closed.

    The first message is an `Assignment`. Each is answered with an error's text, or an empty one,
    and the result.
    """
    # Signals of a terminal reach every process. The parent decides when to stop, and still needs
    # the episodes for its last checkpoint.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    connection = Connection(descriptor)
    try:
        batch: EnvironmentBatch | None = None
        while True:
            message = connection.recv()
            error, result = "", None
            try:
                if batch is None:
                    batch = _start(message)
                else:
                    result = _call(batch, *message)
            except UserError as raised:
                error = str(raised)
            connection.send((error, result))
    except (EOFError, ConnectionError):
        # The parent has ended, or has no more use for this process.
        return


def _start(assignment: Assignment) -> EnvironmentBatch:
    config = assignment.config
    environments = gymnasium_registry.create_each(gymnasium_registry.find(config))
    first = next(environments)
    spaces = interface(config.name, first)
    memory = mmap.mmap(assignment.memory, memory_size(spaces, assignment.size))
    os.close(assignment.memory)
    arrays = arrays_in(memory, spaces, assignment.size).rows(assignment.rows)
    return EnvironmentBatch(
        config.name, itertools.chain([first], environments), spaces, arrays, assignment.counts_lives
    )


def _call(batch: EnvironmentBatch, method: str, arguments: tuple[Any, ...]) -> Any:
    return getattr(batch, method)(*arguments)

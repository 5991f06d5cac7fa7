"""The other workers of a job: waiting until they have started, noticing when they are lost.

A worker listens on its port of TF_CONFIG from its start to its end. Connecting to the port tells
whether its process and its host are alive, also while TensorFlow waits for it.
"""

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence

from trainer.errors import EXIT_INTERRUPTED

_CONNECT_SECONDS = 3.0
_PROBE_SECONDS = 5.0
# A worker is lost after so many failures in a row.
_FAILURES = 2
_REMIND_SECONDS = 30.0
# How long TensorFlow may take to notice a lost worker by itself.
_PATIENCE_SECONDS = 5.0


def unreachable(workers: Mapping[int, str]) -> list[int]:
    """The numbers of the workers that accept no connection."""
    return [number for number, host in workers.items() if not _accepts(host)]


@contextlib.contextmanager
def announced_wait(workers: Mapping[int, str]) -> Iterator[None]:
    """A context that says on stderr which workers have not started yet."""
    if not workers:
        yield
        return
    ended = threading.Event()

    def announce() -> None:
        wait = _CONNECT_SECONDS
        while not ended.wait(wait):
            if missing := unreachable(workers):
                names = ", ".join(f"worker {number} ({workers[number]})" for number in missing)
                print(f"waiting for {names} to start", file=sys.stderr, flush=True)
            wait = _REMIND_SECONDS

    thread = threading.Thread(target=announce, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()


@contextlib.contextmanager
def watched(workers: Mapping[int, str]) -> Iterator[None]:
    """A context in which the loss of a worker ends this process with status 75.

    TensorFlow usually notices a lost process at once and raises an error. It may wait for ever
    for a host that has vanished.
    """
    if not workers:
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        failures = dict.fromkeys(workers, 0)
        while not ended.wait(_PROBE_SECONDS):
            lost = unreachable(workers)
            failures = {n: failures[n] + 1 if n in lost else 0 for n in workers}
            if any(count >= _FAILURES for count in failures.values()):
                if not ended.wait(_PATIENCE_SECONDS):
                    print(f"{lost_message(lost)}; run the same command to resume", file=sys.stderr)
                    sys.stderr.flush()
                    os._exit(EXIT_INTERRUPTED)
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def lost_message(lost: Sequence[int]) -> str:
    """One line about lost workers; for none, about a connection that was lost."""
    if not lost:
        return "the connection to another worker was lost"
    if len(lost) == 1:
        return f"worker {lost[0]} was lost"
    return f"workers {', '.join(map(str, lost))} were lost"


def _accepts(host: str) -> bool:
    name, _, port = host.rpartition(":")
    try:
        with socket.create_connection((name.strip("[]"), int(port)), _CONNECT_SECONDS):
            return True
    except OSError:
        return False

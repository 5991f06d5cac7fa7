"""The other workers of a job: waiting until they have started, noticing when they are lost.

A worker listens on its port of TF_CONFIG from its start to its end. Connecting to the port tells
whether its process and its host are alive, also while TensorFlow waits for it.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

from trainer.errors import EXIT_INTERRUPTED

_CONNECT_SECONDS = 3.0
_PROBE_SECONDS = 5.0
# A worker is lost after so many failures in a row.
_FAILURES = 2
_REMIND_SECONDS = 30.0
# How long TensorFlow may take to notice a lost worker by itself.
_PATIENCE_SECONDS = 5.0
# How long the first worker waits for the others at the end of a job.
_END_SECONDS = 30.0


def unreachable(workers: Mapping[int, str]) -> list[int]:
    """The numbers of the workers that accept no connection."""
    return [number for number, host in workers.items() if not _accepts(host)]


def wait_until_started(own: str, workers: Mapping[int, str]) -> None:
    """Returns once all workers have called this, and says on stderr for which it waits.

    Args:
      own: the address of this worker, on whose port it listens meanwhile.
      workers: the addresses of the others by number.
    """
    if not workers:
        return
    started = time.monotonic()
    remind_after = _CONNECT_SECONDS
    with _listening(own):
        # A worker that has seen all others stops listening, and TensorFlow listens soon after.
        while missing := unreachable(workers):
            if time.monotonic() - started > remind_after:
                names = ", ".join(f"worker {number} ({workers[number]})" for number in missing)
                print(f"waiting for {names} to start", file=sys.stderr, flush=True)
                remind_after += _REMIND_SECONDS
            time.sleep(0.2)


@contextlib.contextmanager
def default_signals() -> Iterator[None]:
    """A context in which a signal ends the process although Python cannot handle it.

    While TensorFlow connects the workers it lets no Python code run.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _listening(address: str) -> Iterator[None]:
    port = int(address.rpartition(":")[2])
    server = socket.create_server(("", port))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                # The other side closes first, which leaves the port free.
                with connection:
                    connection.settimeout(_CONNECT_SECONDS)
                    with contextlib.suppress(OSError):
                        connection.recv(1)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


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
            missing = unreachable(workers)
            failures = {n: failures[n] + 1 if n in missing else 0 for n in workers}
            if any(count >= _FAILURES for count in failures.values()):
                if not ended.wait(_PATIENCE_SECONDS):
                    end_process(missing)
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def end_process(missing: Sequence[int]) -> NoReturn:
    """Ends this process with status 75 and a line about the lost workers.

    It skips the clean-up of the interpreter, where TensorFlow would wait for the lost workers, and
    its interrupted operations would report further errors.
    """
    print(f"{lost_message(missing)}; run the same command to resume", file=sys.stderr, flush=True)
    os._exit(EXIT_INTERRUPTED)


def wait_until_ended(workers: Mapping[int, str]) -> None:
    """Returns when the processes of all workers have ended, or after some seconds.

    The first worker runs TensorFlow's coordination service. A worker that loses it before its own
    end reports an error.
    """
    until = time.monotonic() + _END_SECONDS
    while len(unreachable(workers)) < len(workers) and time.monotonic() < until:
        time.sleep(0.1)


def lost(workers: Mapping[int, str]) -> list[int]:
    """The workers that are unreachable; waits a moment for a killed one to release its port."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while not (found := unreachable(workers)) and time.monotonic() < until:
        time.sleep(0.2)
    return found


def lost_message(numbers: Sequence[int]) -> str:
    """One line about lost workers; for none, about a connection that was lost."""
    if not numbers:
        return "the connection to another worker was lost"
    if len(numbers) == 1:
        return f"worker {numbers[0]} was lost"
    return f"workers {', '.join(map(str, numbers))} were lost"


def _accepts(host: str) -> bool:
    name, _, port = host.rpartition(":")
    try:
        with socket.create_connection((name.strip("[]"), int(port)), _CONNECT_SECONDS):
            return True
    except OSError:
        return False

"""A simulated clock that processes share: time advances only when every actor sleeps.

An actor is a connection to the clock's socket: a thread of a process started by `launch.py`, or a
command of `gcloud_client.py`. It sends lines `NUMBER COMMAND …` and reads one line per command,
`NUMBER NOW`, when the command is done:

    hello PID TOKEN LABEL       becomes an actor; TOKEN is what its parent announced
    sleep SECONDS               done when the simulated time has come
    blocked TOKEN SECONDS       waits for a child (SECONDS or `-`); time may pass while it lives
    running                     takes part again
    idle                        a thread that may wait for another one; doesn't hold time
    settle                      holds time for a moment: the actor has sent a signal
    announce TOKEN PID          holds time until this child is an actor or has ended

Time jumps to the earliest end of a sleep or event. Actors and events of one time run one by one,
events first, in the order of their creation, so that a run is repeatable. An actor whose
connection closes is gone.
"""

import contextlib
import dataclasses
import heapq
import itertools
import mmap
import os
import signal
import socket
import struct
import threading
import time

EPOCH = 1_800_000_000.0  # seconds since 1970 at which every simulation begins
CHILD_SECONDS = 10.0  # real seconds in which an announced process must connect
STILL_SECONDS = 60.0  # real seconds without progress after which a simulation fails
IDLE_SECONDS = 0.5  # real seconds in which nothing happens before time jumps to the limit
SETTLE_SECONDS = 0.03  # real seconds for a process to notice a signal or the end of a child


@dataclasses.dataclass(eq=False)
class Actor:
    """A thread that takes part in the simulated time."""

    number: int
    connection: socket.socket
    pid: int = 0
    token: str = "-"
    label: str = ""
    state: str = "running"  # "running", "sleeping", "blocked" or "idle"
    until: float = float("inf")
    reply: str = ""
    done: threading.Event | None = None  # of a request that the server delays


class Clock:
    """The simulated time, in seconds since the start of the simulation."""

    def __init__(self, path):
        self.path = str(path)
        self.now = 0.0
        self.error = None
        self._changed = threading.Condition(threading.RLock())
        self._actors = []
        self._events = []
        self._pending = {}  # token: (PID or None, real deadline)
        self._frozen = {}  # label: since when
        self._held = 0.0  # until this real time
        self._busy = 0
        self._numbers = itertools.count()
        self._limit = 0.0
        self._until = lambda: False
        with open(self.path + ".now", "w+b") as file:
            file.write(bytes(16))
            file.flush()
            self._shared = mmap.mmap(file.fileno(), 16)
        self._lag = 0.0
        self._publish()
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(self.path)
        self._server.listen(64)
        self._closed = False
        for function in (self._accept, self._advance):
            threading.Thread(target=function, daemon=True).start()

    def close(self):
        """Ends the simulation; actors see a closed connection."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            for actor in self._actors:
                with contextlib.suppress(OSError):
                    actor.connection.shutdown(socket.SHUT_RDWR)
        self._server.close()

    # For the simulation.

    def environment(self, label):
        """Environment of a process that is to be an actor, announced for the real limit."""
        token = f"t{next(self._numbers)}"
        with self._changed:
            self._pending[token] = (None, time.monotonic() + CHILD_SECONDS)
        return {"SIMULATED_CLOCK": self.path, "SIMULATED_ACTOR": token, "SIMULATED_LABEL": label}

    def announce(self, token, pid):
        """Names the process of an announced token, so that its early end is noticed."""
        with self._changed:
            if token in self._pending:
                self._pending[token] = (pid, time.monotonic() + CHILD_SECONDS)

    def at(self, seconds, function):
        """Calls a function at a simulated time; at once if it has passed."""
        with self._changed:
            heapq.heappush(self._events, (max(seconds, self.now), next(self._numbers), function))
            self._changed.notify_all()

    def after(self, seconds, function):
        """Calls a function after simulated seconds."""
        with self._changed:
            self.at(self.now + seconds, function)

    def run(self, until, limit):
        """Lets time pass until a condition holds.

        Args:
          until: a function without arguments, asked before each advance.
          limit: simulated time at which to stop anyway.

        Returns:
          Whether the condition held.

        Raises:
          RuntimeError: an event failed.
          TimeoutError: no simulated time passed for STILL_SECONDS.
        """
        with self._changed:
            self._limit, self._until = limit, until
            self._changed.notify_all()
            seen, since = self.now, time.monotonic()
            try:
                while True:
                    if self.error:
                        raise RuntimeError("an event of the simulation failed") from self.error
                    if until():
                        return True
                    if self.now >= limit and self._quiet():
                        return False
                    if self.now != seen:
                        seen, since = self.now, time.monotonic()
                    if time.monotonic() - since > STILL_SECONDS:
                        raise TimeoutError(f"time stands still at {self.now}: {self.describe()}")
                    self._changed.wait(0.01)
            finally:
                self._limit, self._until = self.now, lambda: False

    def delay(self, pid, seconds):
        """Lets an actor that waits for an answer of the server wait longer.

        Args:
          pid: its process; without such an actor, nothing happens.
          seconds: simulated seconds.
        """
        with self._changed:
            actor = next((a for a in self._actors if a.pid == pid and a.state == "running"), None)
            if actor is None or seconds <= 0:
                return
            actor.done = threading.Event()
            self._sleep(actor, seconds, "")
        actor.done.wait()

    def freeze(self, label):
        """Suspends the machine of the actors with a label; a suspended actor doesn't hold time."""
        with self._changed:
            self._frozen[label] = self.now
            for pid in {actor.pid for actor in self._actors if actor.label == label}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)

    def thaw(self, label):
        """Resumes it: sleeps and the monotonic clock of Linux leave the time in between out."""
        with self._changed:
            duration = self.now - self._frozen.pop(label)
            self._lag += duration
            self._publish()
            for actor in self._actors:
                if actor.label == label:
                    if actor.state != "running":
                        actor.until += duration
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(actor.pid, signal.SIGCONT)
            self._settle()

    def signal(self, process, number):
        """Sends a signal and holds time until the process has noticed it."""
        with self._changed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
            self._settle()

    def describe(self):
        """The actors and what each does."""
        with self._changed:
            actors = [f"{a.label}:{a.pid} {a.state} until {a.until}" for a in self._actors]
            return "; ".join([*actors, f"pending {self._pending}", f"busy {self._busy}"])

    @contextlib.contextmanager
    def held(self):
        """No simulated time passes in this context."""
        with self._changed:
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    # Time.

    def _publish(self):
        self._shared[:16] = struct.pack("dd", self.now + EPOCH, self._lag)

    def _settle(self):
        self._held = time.monotonic() + SETTLE_SECONDS
        self._changed.notify_all()

    def _sleep(self, actor, seconds, reply):
        actor.state, actor.until, actor.reply = "sleeping", self.now + seconds, reply
        self._changed.notify_all()

    def _counts(self, actor):
        """Whether time must not pass because of an actor."""
        if actor.label in self._frozen or actor.state in ("sleeping", "idle"):
            return False
        if actor.state == "running":
            return True
        child_lives = any(other.token == actor.reply for other in self._actors)
        return not child_lives or self.now >= actor.until

    def _waits_for_child(self):
        real = time.monotonic()
        for token, (pid, deadline) in [*self._pending.items()]:
            if real > deadline or (pid is not None and has_ended(pid)):
                del self._pending[token]
        return bool(self._pending)

    def _quiet(self):
        return not (
            self._busy
            or time.monotonic() < self._held
            or any(map(self._counts, self._actors))
            or self._waits_for_child()
        )

    def _next(self):
        """(time, order, actor or None) of what happens next, or None."""
        sleepers = [
            (actor.until, 1, actor.number, actor)
            for actor in self._actors
            if actor.state in ("sleeping", "blocked") and actor.label not in self._frozen
        ]
        events = [(self._events[0][0], 0, 0, None)] if self._events else []
        chosen = min(sleepers + events, key=lambda item: item[:3], default=None)
        return None if chosen is None or chosen[0] == float("inf") else chosen

    def _advance(self):
        with self._changed:
            while not self._closed:
                quiet = self._quiet() and not self._until()
                chosen = self._next() if quiet else None
                is_later = chosen is None or chosen[0] > self._limit
                if not (quiet and is_later and self.now < self._limit):
                    self._idle_since = time.monotonic()
                elif time.monotonic() - self._idle_since > IDLE_SECONDS:
                    # Nothing happens before the limit.
                    self.now = self._limit
                    self._publish()
                    self._changed.notify_all()
                if chosen is None or max(chosen[0], self.now) > self._limit:
                    real = self._pending or time.monotonic() < self._held
                    self._changed.wait(0.005 if real else 1)
                    continue
                when, _, _, actor = chosen
                self.now = max(self.now, when)
                self._publish()
                if actor is not None:
                    self._wake(actor)
                else:
                    self._call(heapq.heappop(self._events)[2])
                self._changed.notify_all()

    def _wake(self, actor):
        sleeping = actor.state == "sleeping"
        actor.state = "running"
        actor.until = float("inf")
        if actor.done:
            actor.done.set()
            actor.done = None
        elif sleeping:
            self._answer(actor, actor.reply)

    def _call(self, function):
        self._busy += 1
        self._changed.release()
        try:
            function()
        except Exception as error:
            self.error = error
        finally:
            self._changed.acquire()
            self._busy -= 1

    # Connections.

    def _accept(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        actor = Actor(next(self._numbers), connection)
        with contextlib.suppress(OSError), connection.makefile("r") as lines:
            for line in lines:
                number, command, *words = line.split()
                with self._changed:
                    self._handle(actor, number, command, words)
        with self._changed:
            if actor in self._actors:
                self._actors.remove(actor)
            if actor.done:
                actor.done.set()
            self._settle()
        connection.close()

    def _handle(self, actor, number, command, words):
        if command == "hello":
            actor.pid, actor.token, actor.label = int(words[0]), words[1], words[2]
            self._pending.pop(actor.token, None)
            self._actors.append(actor)
        elif command == "sleep":
            self._sleep(actor, float(words[0]), number)
            return
        elif command == "settle":
            self._settle()
        elif command == "announce":
            token, pid = words
            if not any(other.token == token for other in self._actors):
                self._pending[token] = (int(pid), time.monotonic() + CHILD_SECONDS)
        elif command == "blocked":
            actor.state, actor.reply = "blocked", words[0]
            actor.until = float("inf") if words[1] == "-" else self.now + float(words[1])
        else:
            actor.state, actor.until = command, float("inf")
            if command == "idle":
                self._settle()
        self._answer(actor, number)
        self._changed.notify_all()

    def _answer(self, actor, number):
        with contextlib.suppress(OSError):
            actor.connection.sendall(f"{number} {self.now}\n".encode())


def has_ended(pid):
    """Whether a process is gone or waits to be reaped."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True

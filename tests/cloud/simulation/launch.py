"""Runs a program in simulated time: `python3 launch.py [-m MODULE | -c CODE | SCRIPT] ARGUMENT…`.

Replaces the clocks and the waits of the standard library before the program starts:
`time.sleep`, `time.time`, `time.monotonic`, `datetime.now`, the waits for a child of
`subprocess` and the waits of `threading`. A module that imported one of them by name before this
file did is not affected, nor are `select` and the timeouts of sockets.

Without `SIMULATED_CLOCK` the program runs in real time.
"""

import contextlib
import datetime
import mmap
import os
import runpy
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid

LONGEST_STEP = 60.0  # simulated seconds between two looks at something that has no time limit

real_sleep = time.sleep
real_wait = subprocess.Popen.wait
real_communicate = subprocess.Popen.communicate
real_start = subprocess.Popen.__init__
real_join = threading.Thread.join
real_gmtime, real_localtime = time.gmtime, time.localtime


class Connection:
    """The actor of one thread."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.environ["SIMULATED_CLOCK"])
        self.lines = self.socket.makefile("r")
        self.number = 0
        # A worker thread may wait for work in C code, which this file cannot replace.
        self.is_worker = threading.current_thread() is not threading.main_thread()
        token = os.environ.get("SIMULATED_ACTOR", "-")
        self.ask(f"hello {os.getpid()} {token} {os.environ.get('SIMULATED_LABEL', '-')}")

    def ask(self, command):
        """Sends a command and waits until it is done.

        A signal handler that raises ends a sleep early.
        """
        self.request(command)
        if self.is_worker and not command.startswith("blocked"):
            self.request("idle")

    def request(self, command):
        """One command and its answer."""
        self.number += 1
        number = self.number
        try:
            self.socket.sendall(f"{number} {command}\n".encode())
            while True:
                line = self.lines.readline()
                if not line:
                    os._exit(255)  # the simulation has ended
                if line.split()[0] == str(number):
                    return
        except BaseException:
            self.number += 1
            self.socket.sendall(f"{self.number} running\n".encode())
            raise


class Thread(threading.local):
    """Creates the actor of each thread when it first needs one."""

    def __init__(self):
        self.connection = Connection()


def replace_clocks(thread):
    """Replaces the clocks; `thread` holds the actor of each thread."""
    with open(os.environ["SIMULATED_CLOCK"] + ".now", "rb") as file:
        shared = mmap.mmap(file.fileno(), 16, prot=mmap.PROT_READ)
    suspends = os.environ.get("SIMULATED_LABEL") == "submitter"

    def now():
        return struct.unpack("d", shared[:8])[0]

    def monotonic():
        seconds, lag = struct.unpack("dd", shared[:16])
        return seconds - lag * suspends

    def sleep(seconds):
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        thread.connection.ask(f"sleep {float(seconds)}")

    class Datetime(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(now(), tz)

        @classmethod
        def utcnow(cls):
            return cls.fromtimestamp(now(), datetime.timezone.utc).replace(tzinfo=None)

    time.sleep, time.time, time.monotonic = sleep, now, monotonic
    time.time_ns = lambda: int(now() * 10**9)
    time.monotonic_ns = lambda: int(monotonic() * 10**9)
    time.gmtime = lambda seconds=None: real_gmtime(now() if seconds is None else seconds)
    time.localtime = lambda seconds=None: real_localtime(now() if seconds is None else seconds)
    datetime.datetime = Datetime


def replace_waits_for_children(thread):
    """Lets simulated time pass while a thread waits for a child process."""

    def start(self, *arguments, env=None, **options):
        self.token = uuid.uuid4().hex
        environment = {**(os.environ if env is None else env), "SIMULATED_ACTOR": self.token}
        kept = [name for name in os.environ if name.startswith("SIMULATED_")]
        environment.update({name: os.environ[name] for name in kept if name not in environment})
        real_start(self, *arguments, env=environment, **options)
        thread.connection.ask(f"announce {self.token} {self.pid}")

    @contextlib.contextmanager
    def blocked(self, timeout):
        limit = "-" if timeout is None else max(timeout, 0)
        thread.connection.ask(f"blocked {self.token} {limit}")
        try:
            yield
        finally:
            thread.connection.ask("running")

    def wait(self, timeout=None):
        if self.poll() is not None:
            return self.returncode
        with blocked(self, timeout):
            if timeout is None:
                return real_wait(self)
            end = time.monotonic() + timeout
            while self.poll() is None:
                if time.monotonic() >= end:
                    raise subprocess.TimeoutExpired(self.args, timeout)
                real_sleep(0.005)
            return self.returncode

    def communicate(self, input=None, timeout=None):
        if timeout is None:
            with blocked(self, None):
                return real_communicate(self, input)
        end = time.monotonic() + timeout
        while True:
            with blocked(self, end - time.monotonic()):
                try:
                    return real_communicate(self, input, 0.05)
                except subprocess.TimeoutExpired:
                    input = None
            if time.monotonic() >= end:
                raise subprocess.TimeoutExpired(self.args, timeout)

    subprocess.Popen.__init__ = start
    subprocess.Popen.wait = wait
    subprocess.Popen.communicate = communicate


def replace_signals(thread):
    """Lets the receiver of a signal notice it before time passes."""

    def then_settle(function):
        def send(*arguments):
            function(*arguments)
            thread.connection.ask("settle")

        return send

    os.kill, os.killpg = then_settle(os.kill), then_settle(os.killpg)


def replace_waits_for_threads():
    """Lets simulated time pass while a thread waits for another one."""

    def steps(timeout):
        """Sleeps between two looks, until the time is over."""
        end = float("inf") if timeout is None else time.monotonic() + timeout
        step = 0.1
        while time.monotonic() < end:
            yield
            time.sleep(min(step, end - time.monotonic()))
            step = min(step * 1.5, LONGEST_STEP if timeout is None else 1.0)

    def wait(self, timeout=None):
        waiter = threading.Lock()
        waiter.acquire()
        self._waiters.append(waiter)
        saved = self._release_save()
        notified = False
        try:
            for _ in steps(timeout):
                notified = waiter.acquire(True, 0.005)
                if notified:
                    break
            return notified
        finally:
            self._acquire_restore(saved)
            if not notified:
                with contextlib.suppress(ValueError):
                    self._waiters.remove(waiter)

    def join(self, timeout=None):
        for _ in steps(timeout):
            real_join(self, 0.005)
            if not self.is_alive():
                return

    threading.Condition.wait = wait
    threading.Thread.join = join


def main():
    arguments = sys.argv[1:]
    # On a machine, sys.executable is the program that starts children in simulated time.
    sys.executable = os.environ.get("SIMULATED_PYTHON", sys.executable)
    if "SIMULATED_CLOCK" in os.environ:
        thread = Thread()
        replace_clocks(thread)
        replace_waits_for_children(thread)
        replace_signals(thread)
        replace_waits_for_threads()
    if arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    elif arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()

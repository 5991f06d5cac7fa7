import os
import signal
import subprocess
import sys
import time

import pytest

RECORDS = """
import os, signal, sys
from trainer.engine.preemption import StopRequest

with StopRequest() as stop:
    print("ready", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGHUP)
    print(stop.requested, flush=True)
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""

STOPS_AT_ONCE = """
import hashlib, sys
from trainer.engine.preemption import StopRequest
from trainer.errors import Interrupted

def python():
    while True:
        try:
            sum(range(1000))
        except Exception:
            pass  # as a library might do

def compiled():
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)

try:
    with StopRequest() as stop, stop.at_once("all saved"):
        with stop.deferred():
            print("ready", flush=True)
            while not stop.requested and "deferred" in sys.argv:
                sum(range(1000))
        locals()[sys.argv[1]]()
except Interrupted as interrupted:
    print(interrupted)
    sys.exit(75)
"""


def launch(program, *arguments, stderr=subprocess.PIPE, prefix=()):
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_signal_is_honored_when_stderr_is_closed():
    # As in `trainer … 2>&1 | tee log`, where Ctrl-C terminates tee too.
    read, write = os.pipe()
    process = launch(RECORDS, stderr=write)
    os.close(write)
    os.close(read)
    assert process.communicate("go\n", timeout=20)[0] == "True\n"
    assert process.returncode == 0


@pytest.mark.parametrize("last", [signal.SIGINT, signal.SIGTERM])
def test_the_third_signal_ends_the_process(last):
    program = RECORDS.replace("os.kill(os.getpid(), signal.SIGHUP)", "sys.stdin.readline()")
    process = launch(program)
    process.stdin.write("go\n")
    process.stdin.flush()
    for number in (signal.SIGINT, signal.SIGTERM):
        time.sleep(0.3)
        process.send_signal(number)
        assert process.poll() is None
    time.sleep(0.3)
    process.send_signal(last)
    _, error = process.communicate(timeout=20)
    assert process.returncode == -last
    assert "SIGINT: saving the state, then stopping" in error
    assert "SIGTERM: the next one stops without saving the state" in error


def test_an_ignored_signal_stays_ignored():
    process = launch(RECORDS, prefix=("nohup",))
    assert process.communicate("go\n", timeout=20)[0] == "False\n"


@pytest.mark.parametrize("code", ["python", "compiled"])
def test_a_signal_ends_the_process_at_once(code):
    process = launch(STOPS_AT_ONCE, code)
    time.sleep(0.3)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    output, error = process.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert process.returncode == 75
    assert "all saved" in output + error


def test_a_deferred_signal_ends_the_process_where_nothing_is_lost():
    process = launch(STOPS_AT_ONCE, "compiled", "deferred")
    process.send_signal(signal.SIGTERM)
    output, error = process.communicate(timeout=20)
    assert process.returncode == 75
    assert "saving the state, then stopping" in error
    assert output == "all saved\n"

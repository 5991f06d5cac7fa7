import os
import signal
import subprocess
import sys

PROGRAM = """
import os, signal, sys
from trainer.engine.preemption import StopRequest

with StopRequest() as stop:
    print("ready", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    print(stop.requested, flush=True)
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""


def test_signal_is_honored_when_stderr_is_closed():
    # As in `trainer … 2>&1 | tee log`, where Ctrl-C terminates tee too.
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=write, text=True,
    )  # fmt: skip
    os.close(write)
    assert process.stdout.readline() == "ready\n"
    os.close(read)
    assert process.communicate("go\n")[0] == "True\n"
    assert process.returncode == 0


def test_message_is_printed_once():
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM], input="go\n", capture_output=True, text=True, check=True
    )
    assert process.stderr == f"\n{signal.SIGINT.name}: saving the state, then stopping\n"

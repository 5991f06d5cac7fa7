import json
import os
import signal
import subprocess
import sys
import time

import pytest

from trainer.engine.lock import LeaseTiming, held
from trainer.errors import UserError

# TensorFlow reads file:// like gs://, as a file system without locks.
HOLDER = """
import sys, time
from trainer.engine.lock import LeaseTiming, held
from trainer.engine.preemption import StopRequest
from trainer.errors import Interrupted

with StopRequest() as stop, held(sys.argv[1], LeaseTiming(renew=0.2, expire=1.0)) as check:
    print("held", flush=True)
    while not stop.requested:
        time.sleep(0.05)
    try:
        check()
    except Interrupted as interrupted:
        print(interrupted, flush=True)
"""
TIMING = LeaseTiming(renew=0.2, expire=1.0)


@pytest.fixture
def holder(request):
    """A function that starts a process which holds the lock of a directory."""
    processes = []

    def start(path):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, path],
            cwd=request.config.rootpath,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_one_process_at_a_time_holds_the_lock(scheme, tmp_path, holder, monkeypatch):
    monkeypatch.setattr("trainer.engine.lock._LOCAL_TIMEOUT_SECONDS", 0.3)
    path = f"{scheme}{tmp_path}"
    first = holder(path)
    with pytest.raises(UserError, match=r"another process.* is training"), held(path, TIMING):
        pass
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=10) == 0
    with held(path, TIMING):
        pass


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_the_lock_of_a_killed_process_is_free(scheme, tmp_path, holder):
    path = f"{scheme}{tmp_path}"
    killed = holder(path)
    killed.kill()
    killed.wait()
    started = time.monotonic()
    with held(path, LeaseTiming(renew=0.2, expire=60.0)):
        assert time.monotonic() - started < 10


def test_a_lease_of_another_host_is_taken_over_when_it_expires(tmp_path, capsys):
    lease = {"token": "x", "host": "vanished", "pid": os.getpid(), "renewals": 9}
    (tmp_path / ".lock").write_text(json.dumps(lease))
    started = time.monotonic()
    with held(f"file://{tmp_path}", TIMING):
        assert time.monotonic() - started >= TIMING.expire
    assert "last held by a process on vanished" in capsys.readouterr().err
    assert not (tmp_path / ".lock").exists()


def test_a_process_that_lost_its_lease_must_not_write(tmp_path, holder):
    suspended = holder(f"file://{tmp_path}")
    suspended.send_signal(signal.SIGSTOP)
    lease = json.loads((tmp_path / ".lock").read_text())
    (tmp_path / ".lock").write_text(json.dumps({**lease, "host": "other", "token": "x"}))
    suspended.send_signal(signal.SIGCONT)
    output, _ = suspended.communicate(timeout=10)
    assert "another process has taken over" in output
    # It leaves the other's lease alone.
    assert json.loads((tmp_path / ".lock").read_text())["host"] == "other"

"""Runs plans of small shell commands: real processes and signals, but no cloud."""

import io
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from trainer.cloud import execution
from trainer.cloud.console import Console
from trainer.cloud.execution import JobFailed, Limits, Runner
from trainer.cloud.google import gcloud, virtual_machine
from trainer.cloud.plan import IDENTIFIER, Command, JobStatus, Plan, Wait
from trainer.cloud.processes import Child
from trainer.engine.preemption import StopRequest
from trainer.errors import Interrupted, UserError


def sh(text):
    return Command(("sh", "-c", text))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(text, **changes):
    """Creates the file `machine`, which stands for a machine, runs `text` and deletes the file."""
    values = {
        "name": "n",
        "prepare": (sh("touch packed"),),
        "create": sh("echo made >> log; touch machine"),
        "prints_identifier": False,
        "ready": None,
        "stage": (),
        "job": (sh(text),),
        "completion": None,
        "describe": sh("cat machine > /dev/null && echo RUNNING || echo GONE"),
        "classify_exit": lambda statuses, state: virtual_machine.classify_exit(
            statuses, state == "RUNNING"
        ),
        "stop": (sh("touch asked"),),
        "cleanup": (sh("rm -f packed"),),
        "delete": (sh("echo deleted >> log; rm -f machine"),),
        "errors": gcloud.ERRORS,
        "results": "gs://b/run",
        **changes,
    }
    return Plan(**values)


def run(the_plan, max_restarts=3, max_hours=1.0, keep=False, stop=None):
    console = Console(lambda text: text)
    Runner(the_plan, Limits(max_restarts, max_hours, keep), 0, stop or StopRequest(), console).run()


def log(here):
    return (here / "log").read_text().split()


def test_successful_job(here, capfd):
    run(plan("echo step 1; echo careful >&2; test -e machine -a -e packed"))
    output = capfd.readouterr()
    assert output.out == "step 1\n"
    assert "careful\n" in output.err
    assert "$ sh -c 'rm -f packed'" in output.err
    assert sorted(path.name for path in here.iterdir()) == ["log"]
    assert log(here) == ["made", "deleted"]


@pytest.mark.parametrize(
    "preempted", ["exit 75", "rm machine; exit 255", "rm machine; exit 1", "rm machine; kill $$"]
)
def test_preempted_job_restarts(here, preempted, capfd):
    run(plan(f"test $(grep -c made log) = 3 || {{ {preempted}; }}"))
    assert log(here) == ["made", "deleted"] * 3
    assert "preempted; restarting (2 of 3)" in capfd.readouterr().err


def test_number_of_restarts_is_limited(here):
    with pytest.raises(Interrupted, match="preempted after --max_restarts=1 restarts"):
        run(plan("exit 75"), max_restarts=1)
    assert log(here) == ["made", "deleted"] * 2


@pytest.mark.parametrize(
    ("status", "error"), [(1, JobFailed), (137, JobFailed), (2, UserError)], ids=str
)
def test_failed_job_does_not_restart(here, status, error):
    with pytest.raises(error):
        run(plan(f"exit {status}"))
    assert log(here) == ["made", "deleted"]


def test_lost_connection_reconnects_to_the_same_job(here, capfd):
    run(plan("echo try >> tries; test $(wc -l < tries) = 3 || exit 255"))
    assert log(here) == ["made", "deleted"]
    assert capfd.readouterr().err.count("reconnecting") == 2


def test_number_of_connection_attempts_is_limited(here):
    with pytest.raises(UserError, match="refused"):
        run(plan("echo 'ERROR: refused' >&2; echo try >> tries; exit 255"))
    assert len((here / "tries").read_text().split()) == 10
    assert log(here) == ["made", "deleted"]


def test_staging_retries_only_lost_connections(here):
    flaky = sh("echo try >> tries; test $(wc -l < tries) = 3 || exit 255")
    run(plan("true", stage=((flaky,),)))
    assert len((here / "tries").read_text().split()) == 3
    with pytest.raises(UserError, match="no space"):
        run(plan("true", stage=((sh("echo 'ERROR: no space' >&2; exit 1"),),)))
    assert log(here) == ["made", "deleted"] * 2


@pytest.mark.parametrize("error", ["Quota\n - exceeded", "ZONE_RESOURCE_POOL_EXHAUSTED"])
def test_exhausted_quota_is_one_line(here, error):
    refuse = sh(f"echo working >&2; printf 'ERROR: (gcloud.x) {error}\n' >&2; exit 1")
    with pytest.raises(UserError) as raised:
        run(plan("true", create=refuse))
    message = str(raised.value)
    assert message.startswith(f"ERROR: (gcloud.x) {' '.join(error.split())}; request more quota")
    assert "\n" not in message
    assert "Command: " in message
    # A request may have created something before it failed.
    assert log(here) == ["deleted"]


def test_existing_resource_is_not_deleted(here):
    make = sh("echo 'ERROR: ALREADY_EXISTS' >&2; exit 1")
    with pytest.raises(UserError, match="delete it with: sh -c 'echo deleted"):
        run(plan("true", create=make))
    assert not (here / "log").exists()
    assert not (here / "packed").exists()


def test_only_created_machines_are_deleted_if_one_existed(here):
    make = sh(
        "echo 'Created [http://x/instances/n-1].' >&2; echo 'ERROR: already exists' >&2; false"
    )
    delete = Command(("sh", "-c", 'echo "$@" > log', "sh", "n-0", "n-1", "--zone=z"))
    with pytest.raises(UserError, match=r"delete it with: .* n-0 n-1 --zone=z"):
        run(plan("true", create=make, delete=(delete,), machines=("n-0", "n-1")))
    assert log(here) == ["n-1", "--zone=z"]


def test_keep_prints_how_to_delete_the_machine(here, capfd):
    run(plan("true"), keep=True)
    assert log(here) == ["made"]
    assert "kept and billed until you run: sh -c 'echo deleted" in capfd.readouterr().err


def test_keep_does_not_apply_to_a_preempted_machine(here):
    run(plan("test $(grep -c made log) = 2 || exit 75"), keep=True)
    assert log(here) == ["made", "deleted", "made"]


@pytest.mark.parametrize("error", ["no", "ERROR: credentials not found"])
def test_failed_deletion_is_reported(error, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(JobFailed, match=f"may be billed; run: sh -c 'echo {error}"):
        run(plan("true", delete=(sh(f"echo {error} >&2; exit 1"),)))


def test_missing_resource_counts_as_deleted():
    run(plan("true", delete=(sh("echo 'ERROR: n was not found' >&2; exit 1"),)))


def test_wait_until_ready_prints_each_state_once(capfd):
    states = sh("echo . >> looks; test $(wc -l < looks) -lt 3 && echo QUEUED || echo ACTIVE")
    run(plan("true", ready=Wait(states, ("ACTIVE",), ("FAILED",))))
    assert capfd.readouterr().err.count("n: QUEUED") == 1


def test_failed_query_is_repeated():
    states = sh("echo . >> looks; test $(wc -l < looks) -lt 3 && exit 1; echo ACTIVE")
    run(plan("true", ready=Wait(states, ("ACTIVE",), ("FAILED",))))


def test_request_without_quota_is_not_repeated(here):
    with pytest.raises(UserError, match="choose another zone"):
        run(plan("true", ready=Wait(sh("echo FAILED Quota exceeded"), ("ACTIVE",), ("FAILED",))))
    assert log(here) == ["made", "deleted"]


def test_failed_request_is_repeated(here):
    states = sh("test $(grep -c made log) = 2 && echo ACTIVE || echo FAILED")
    run(plan("true", ready=Wait(states, ("ACTIVE",), ("FAILED",))))
    assert log(here) == ["made", "deleted"] * 2


def test_machine_preempted_during_staging_is_created_again():
    lost = sh("test $(grep -c made log) = 2 || { rm machine; echo 'ERROR: no node' >&2; exit 1; }")
    run(plan("true", stage=((lost,),)))


def test_request_that_no_longer_exists_is_repeated():
    states = sh("test $(grep -c made log) = 2 && echo ACTIVE || { echo NOT_FOUND >&2; exit 1; }")
    run(plan("true", ready=Wait(states, ("ACTIVE",), ("FAILED",))))


def test_closed_terminal_does_not_prevent_deletion(here):
    text = CTRL_C.format(tests=os.path.dirname(__file__)).replace("until test -e asked", "until :")
    process = subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    process.stderr.close()
    process.wait(60)
    assert log(here)[:2] == ["made", "deleted"]


def test_character_that_cannot_be_encoded_is_ignored(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    run(plan("printf '\\303\\251\\n'; echo after"))
    sys.stdout.seek(0)
    assert sys.stdout.read() == "after\n"


def test_program_that_exits_without_reading_its_input():
    child = Child(
        Command(("sh", "-c", "exec 0<&-; echo 'ERROR: no' >&2; exit 3"), "x" * 10**6), None, None
    )
    assert child.wait(60) == 3
    assert [*child.errors] == ["ERROR: no"]


def test_identifier_is_inserted_into_commands(here, monkeypatch):
    monkeypatch.setattr(execution, "drain_seconds", lambda _: 0)
    describe = Command(("sh", "-c", 'echo "$1" >> about; echo DONE', "sh", IDENTIFIER))
    the_plan = plan(
        "sleep 100",
        create=sh("echo job/7"),
        prints_identifier=True,
        completion=Wait(describe, ("DONE",), ()),
        describe=describe,
        classify_exit=lambda _, state: JobStatus.FINISHED if state == "DONE" else JobStatus.FAILED,
    )
    started = time.monotonic()
    run(the_plan)
    assert time.monotonic() - started < 20
    assert set((here / "about").read_text().split()) == {"job/7"}


def test_hosts_run_in_parallel_and_one_failure_stops_all(here, monkeypatch):
    monkeypatch.setattr(execution, "_OTHER_HOSTS_TIMEOUT", 0.5)
    run(plan("", job=(sh("until test -e b; do sleep 0.1; done; touch a"), sh("touch b"))))
    assert (here / "a").exists()
    started = time.monotonic()
    with pytest.raises(JobFailed):
        run(plan("", job=(sh("sleep 100"), sh("exit 1"))))
    assert time.monotonic() - started < 20


def test_time_limit_stops_the_job_and_deletes(here):
    with pytest.raises(Interrupted, match=r"--max_hours=0\.0003"):
        run(plan("until test -e asked; do sleep 0.1; done; touch saved"), max_hours=0.0003)
    assert (here / "saved").exists()
    assert log(here) == ["made", "deleted"]


def test_stop_lets_the_job_save_and_deletes(here):
    stop = StopRequest()

    def press():
        while not (here / "running").exists():
            time.sleep(0.05)
        stop.requested = True

    threading.Thread(target=press).start()
    with pytest.raises(Interrupted, match=r"^stopped$"):
        run(plan("touch running; until test -e asked; do sleep 0.1; done; touch saved"), stop=stop)
    assert (here / "saved").exists()
    assert log(here) == ["made", "deleted"]


@pytest.mark.parametrize("moment", ["create", "ready", "stage"])
def test_stop_before_the_job_deletes_too(here, moment):
    slow = "touch running; sleep 100"
    changes = {
        "create": {"create": sh(f"touch machine; {slow}")},
        "ready": {"ready": Wait(sh(slow), ("ACTIVE",), ())},
        "stage": {"stage": ((sh(slow),),)},
    }[moment]
    stop = StopRequest()

    def press():
        while not (here / "running").exists():
            time.sleep(0.05)
        stop.requested = True

    threading.Thread(target=press).start()
    with pytest.raises(Interrupted):
        run(plan("touch started", **changes), stop=stop)
    assert log(here)[-1] == "deleted"
    assert not (here / "started").exists()
    assert not (here / "machine").exists()


CTRL_C = """
import sys, time
sys.path.insert(0, {tests!r})
from test_execution import plan, run
from trainer.engine.preemption import StopRequest
with StopRequest() as stop:
    run(plan("touch running; until test -e asked; do sleep 0.1; done; exit 75"), stop=stop)
"""


def test_ctrl_c_does_not_reach_the_commands(here):
    text = CTRL_C.format(tests=os.path.dirname(__file__))
    process = subprocess.Popen(
        [sys.executable, "-c", text], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    while not (here / "running").exists():
        time.sleep(0.05)
    # Like a terminal: to the whole process group, twice.
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert "asking the job to save its state and exit" in errors
    assert "Interrupted: stopped" in errors
    assert log(here) == ["made", "deleted"]

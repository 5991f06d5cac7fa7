"""Runs the scripts for a machine on this machine."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from trainer.cloud.google import virtual_machine
from trainer.cloud.job import Job

# Machines have pkill, but the image in which the tests run does not.
needs_pkill = pytest.mark.skipif(shutil.which("pkill") is None, reason="pkill is not installed")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """The home folder of a machine, with the folder of the job."""
    (tmp_path / "n").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def start_or_reconnect(command):
    return subprocess.Popen(
        ["sh", "-c", virtual_machine.run("n", command)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("folder", ["configs", ".mine"])
def test_archive_contains_the_code_and_the_files_of_the_job(home, folder):
    (home / folder).mkdir()
    (home / folder / "x.py").touch()
    job = Job("train", "supervised", (("config", f"{folder}/x.py"),), (), "gs://b/run", False, "n")
    packing = virtual_machine.archive(job, str(home / "n.tar.gz"), with_code=True)
    subprocess.run(packing.argv, check=True)
    subprocess.run(["sh", "-c", virtual_machine.unpack("n")], check=True)
    assert sorted(path.name for path in (home / "n").iterdir()) == sorted(
        (folder, "pyproject.toml", "requirements", "setup.py", "trainer")
    )
    assert (home / "n" / "requirements" / "tpu.txt").exists()
    assert (home / "n" / folder / "x.py").exists()
    assert (home / "n" / "trainer" / "__main__.py").exists()
    assert not [*home.rglob("__pycache__")]


@pytest.mark.parametrize("status", [0, 1, 2, 75])
def test_exit_status_is_that_of_the_job(status):
    process = start_or_reconnect(f"sh -c 'echo out; echo err >&2; exit {status}'")
    assert process.communicate(timeout=60)[0] == "out\nerr\n"
    assert process.returncode == status


def test_output_of_a_short_job_is_complete(home):
    for number in range(4):
        (home / "n" / "job.pid").unlink(missing_ok=True)
        (home / "n" / "job.status").unlink(missing_ok=True)
        process = start_or_reconnect(f"echo {number}")
        assert process.communicate(timeout=60)[0] == f"{number}\n"
        assert process.returncode == 0


def test_broken_connection_does_not_stop_the_job(home):
    command = "sh -c 'echo started >> starts; until test -e go; do sleep 0.1; done; echo end'"
    first = start_or_reconnect(command)
    while not (home / "n" / "starts").exists():
        time.sleep(0.05)
    first.kill()
    second = start_or_reconnect(command)
    (home / "n" / "go").touch()
    assert second.communicate(timeout=60)[0] == "end\n"
    assert second.returncode == 0
    assert (home / "n" / "starts").read_text() == "started\n"


@needs_pkill
def test_lost_output_of_a_running_job_is_a_lost_connection(home):
    process = start_or_reconnect("sleep 100")
    while not (home / "n" / "job.pid").exists():
        time.sleep(0.05)
    time.sleep(0.3)
    subprocess.run(["pkill", "-P", str(process.pid), "tail"], check=True)
    assert process.wait(60) == virtual_machine.CONNECTION_LOST
    os.kill(int((home / "n" / "job.pid").read_text()), signal.SIGKILL)


def test_job_killed_by_a_restart_of_the_machine_is_preempted(home):
    (home / "n" / "job.log").write_text("step 1\n")
    gone = subprocess.Popen(["true"])
    gone.wait()
    (home / "n" / "job.pid").write_text(f"{gone.pid}\n")
    process = start_or_reconnect("false")
    assert process.communicate(timeout=60)[0] == "step 1\n"
    assert process.returncode == 75


@needs_pkill
def test_stop_signals_only_the_job(home):
    command = "sh -c 'trap \"echo saved; exit 75\" TERM; touch up; while :; do sleep 0.1; done'"
    process = start_or_reconnect(command)
    while not (home / "n" / "up").exists():
        time.sleep(0.05)
    subprocess.run(["sh", "-c", virtual_machine.stop("n", "")], check=True)
    assert process.communicate(timeout=60)[0] == "saved\n"
    assert process.returncode == 75

"""Submissions in the simulated cloud: with faults, and commands from the user's side."""

import dataclasses
import json
import re
import signal

import pytest

from .faults import HOUR, Faults, Preemption, Window
from .scenario import SUBMIT, check, run

SEEDS = range(200)
# One of each: no capacity, preemption, an outage of the submitter, a kill, failing uploads.
BUSY = {
    "windows": (
        Window(300, 420, "503", share=0.5),
        Window(900, 2400, "drop", who="submitter"),
        Window(2500, 2700, "503", who="machine", uploads_only=True),
    ),
    "stockouts": 1,
    "preemptions": (Preemption("running", 200, 30), Preemption("saving", 5, 0)),
    "kills": (2450.0,),
    "restart_seconds": 60.0,
}


@pytest.mark.parametrize("target", SUBMIT)
def test_job_ends_once_and_whole_in_spite_of_faults(target, gcloud, tmp_path):
    attaches = target == "gpu-vm"
    outcome = run(
        target, None, tmp_path / "cloud", gcloud, Faults(target, **BUSY, attaches=attaches)
    )
    assert check(outcome) == [], outcome
    assert "no answer; the job is not affected" in outcome.output


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("target", SUBMIT)
def test_job_ends_once_and_whole(target, seed, gcloud, tmp_path):
    outcome = run(target, seed, tmp_path / "cloud", gcloud)
    assert check(outcome) == [], outcome


@pytest.mark.slow
@pytest.mark.parametrize("status", [1, 2])
def test_status_of_the_job_is_final_even_if_the_service_would_restart_it(status, gcloud, tmp_path):
    faults = Faults("vertex", exit_status=status, vertex_restarts=5)
    outcome = run("vertex", None, tmp_path / "cloud", gcloud, faults)
    assert check(outcome) == [], outcome
    starts = [text for _, text in outcome.notes if re.search(r"trainer \d+: start", text)]
    assert len(starts) == 1


def result(cloud):
    return json.loads(cloud.storage.read("run/result.json") or "null")


@pytest.mark.parametrize("target", ["gpu-vm", pytest.param("tpu-vm", marks=pytest.mark.slow)])
def test_machine_deletes_itself_if_the_submission_never_returns(user, target):
    me = user(target)
    status, output, errors = me.run(*me.submit(target, "--detach"))
    assert status == 0, errors
    assert "follow it with: trainer jobs attach gs://b/run" in errors
    assert output == []
    me.wait(2)
    assert result(me.cloud) == {"steps": [*range(1, 25)]}
    assert me.cloud.leftovers() == []
    assert me.cloud.violations == []
    # The record says how it ended, and the same command finds it.
    status, output, errors = me.run(*me.submit(target))
    assert status == 0, errors
    assert any(line.startswith("already submitted; following") for line in errors)
    assert output[-1].startswith("trainer-job: attempt 1 ended with status 0")


@pytest.mark.slow
def test_two_submissions_of_one_work_directory(user):
    me = user()
    first = me.start(*me.submit("gpu-vm"))
    second = me.start(*me.submit("tpu-vm"))
    other = me.start(*me.submit("gpu-vm", "--config.seed=7"))
    ends = [me.finish(process) for process in (first, second, other)]
    assert [status for status, _, _ in ends].count(0) >= 1
    # Either it was refused, or it came first and the others were refused or followed it.
    for status, _, errors in ends:
        assert status == 0 or "of another command is running in gs://b/run" in errors[-1], errors
    assert me.cloud.violations == []
    assert me.cloud.leftovers() == []
    starts = [text for _, text in me.cloud.notes if re.search(r"trainer \d+: start", text)]
    assert len(starts) == 1


def test_jobs_are_listed_shown_and_cancelled(user):
    me = user()
    assert me.run(*me.submit("gpu-vm", "--detach"))[0] == 0
    me.wait(0.2)
    status, output, errors = me.run("jobs", "list", "--zone=us-central1-a")
    assert status == 0, errors
    assert output[0].split() == ["JOB", "TARGET", "PLACE", "STATE", "WORKDIR"]
    name, *rest = output[1].split()
    assert rest == ["gpu-vm", "us-central1-a", "RUNNING", "gs://b/run"]
    _, output, errors = me.run("jobs", "logs", name)
    assert "step 3" in output, errors
    follower = me.start("jobs", "attach", name)
    me.wait(0.05)
    status, _, errors = me.run("jobs", "cancel", name)
    assert status == 75
    assert errors[-1] == f"the job {name} ended: cancelled; run the same command to resume"
    assert me.finish(follower)[0] == 75
    assert me.cloud.leftovers() == me.cloud.violations == []
    steps = json.loads(me.cloud.storage.read("run/progress.json"))
    assert 3 <= len(steps) < 24
    # The same command resumes.
    status, _, errors = me.run(*me.submit("gpu-vm"))
    assert status == 0, errors
    assert result(me.cloud) == {"steps": [*range(1, 25)]}


@pytest.mark.slow
def test_time_limit_saves_the_state_and_deletes(user):
    me = user()
    status, _, errors = me.run(*me.submit("gpu-vm", "--max_hours=0.3"))
    assert status == 75
    assert "stopped after --max_hours=0.3" in errors[-1]
    assert me.cloud.leftovers() == me.cloud.violations == []
    assert len(json.loads(me.cloud.storage.read("run/progress.json"))) > 3


@pytest.mark.slow
def test_cost_limit_saves_the_state_and_deletes(user):
    me = user()
    status, _, errors = me.run(*me.submit("gpu-vm", "--max_cost=0.15"))
    assert status == 75, errors
    assert "stopped at --max_cost=0.15" in errors[-1]
    assert me.cloud.leftovers() == me.cloud.violations == []
    hours = sum(bill.end - bill.start for bill in me.cloud.bills) / HOUR
    assert 0.2 < hours < 0.5


@pytest.mark.slow
# Vertex AI reports a lost spot machine as missing capacity, for which there is no limit.
@pytest.mark.parametrize("target", ["gpu-vm", "tpu-vm"])
def test_job_that_fails_each_time_is_given_up(user, target):
    preemptions = tuple(Preemption("installing", 30, 0) for _ in range(10))
    me = user(target, preemptions=preemptions)
    status, _, errors = me.run(*me.submit(target, "--max_restarts=2"))
    assert status == 75, errors
    assert "2 restarts without progress (--max_restarts)" in errors[-1]
    assert me.cloud.leftovers() == me.cloud.violations == []


@pytest.mark.slow
def test_several_machines_train_together(user):
    me = user()
    status, _, errors = me.run(*me.submit("gpu-vm", "--hosts=2"))
    assert status == 0, errors
    assert result(me.cloud) == {"steps": [*range(1, 25)]}
    assert me.cloud.leftovers() == me.cloud.violations == []
    assert len(me.cloud.bills) == 2


def test_faults_of_a_seed_are_repeatable():
    drawn = [Faults.from_seed("gpu-vm", seed) for seed in SEEDS]
    assert drawn == [Faults.from_seed("gpu-vm", seed) for seed in SEEDS]
    for name in ("windows", "stockouts", "preemptions", "kills", "suspensions", "exit_status"):
        default = dataclasses.asdict(Faults("gpu-vm"))[name]
        assert any(getattr(faults, name) != default for faults in drawn), name


@pytest.mark.slow
def test_ctrl_c_leaves_the_job_running_unless_it_is_to_cancel_it(user):
    me = user()
    process = me.start(*me.submit("gpu-vm"))
    me.wait(0.25)
    me.cloud.clock.signal(process.pid, signal.SIGINT)
    status, _, errors = me.finish(process)
    assert status == 75
    assert re.fullmatch(
        r"left trainer-digits-cnn-\S+ running; stop it with: trainer jobs cancel gs://b/run; "
        "run the same command to resume",
        errors[-1],
    )
    assert len(me.cloud.leftovers()) == 1
    process = me.start(*me.submit("gpu-vm", "--cancel_on_interrupt"))
    me.wait(0.1)
    me.cloud.clock.signal(process.pid, signal.SIGINT)
    status, _, errors = me.finish(process)
    assert status == 75
    assert errors[-1].endswith("ended: cancelled; run the same command to resume")
    assert me.cloud.leftovers() == me.cloud.violations == []
    assert len(json.loads(me.cloud.storage.read("run/progress.json"))) > 3


@pytest.mark.slow
def test_next_zone_is_tried_when_there_is_no_capacity(user):
    me = user(stockouts=3)
    zones = "--zone=us-central1-a,us-central1-b"
    status, _, errors = me.run(*me.submit("gpu-vm", zones))
    assert status == 0, errors
    places = [
        re.search(r"/zones/([^/]+)/instances$", path)[1]
        for _, by, method, path, _ in me.cloud.requests
        if method == "POST" and path.endswith("/instances")
    ]
    assert places == ["us-central1-a", "us-central1-b"] * 2
    # Both zones are tried at once, then there is a pause.
    assert sum("trying again after" in line for line in errors) == 1

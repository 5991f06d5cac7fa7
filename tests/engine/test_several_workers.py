"""Jobs of two worker processes on loopback: what they agree on, and how they end together."""

import json
import signal
import time

import pytest

ARGUMENTS = (
    "train",
    "--config=configs/digits_cnn.py",
    "--config.model.filters=4",
    "--config.model.units=8",
    "--config.model.batch_norm=true",
    "--config.train.global_batch_size=32",
    "--config.train.report_every=100",
    "--config.train.evaluate_every=100",
    "--config.train.checkpoint_every=50",
)


@pytest.fixture
def job(start, free_ports):
    """A function that starts the workers of a job, each with arguments of its own."""

    def launch(*arguments_of_workers, count=2):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
        return [
            start(
                *ARGUMENTS,
                *arguments,
                TF_CONFIG=json.dumps(
                    {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
                ),
            )
            for index, arguments in enumerate(arguments_of_workers)
        ]

    return launch


def ends(workers, timeout):
    outputs = [worker.communicate(timeout=timeout) for worker in workers]
    return [worker.returncode for worker in workers], [error for _, error in outputs]


def test_work_directories_that_are_not_shared_are_refused(tmp_path, job):
    workers = job(*([f"--workdir={tmp_path / name}"] for name in "ab"))
    statuses, errors = ends(workers, 60)
    assert statuses == [2, 2], errors
    for error in errors:
        assert "error: worker 1 does not see the chief's work directory" in error
        assert "Traceback" not in error
    assert not (tmp_path / "b").exists()


def test_different_configurations_are_refused(tmp_path, job):
    workdir = f"--workdir={tmp_path / 'run'}"
    workers = job([workdir], [workdir, "--config.optimizer.learning_rate=0.5"])
    statuses, errors = ends(workers, 60)
    assert statuses == [2, 2], errors
    for error in errors:
        assert "error: workers 0 and 1 have different configurations" in error


def test_only_the_chief_writes_a_trace(tmp_path, job):
    arguments = [f"--workdir={tmp_path / 'run'}", "--config.train.steps=6", "--profile_steps=2,5"]
    statuses, errors = ends(job(arguments, arguments), 240)
    assert statuses == [0, 0], errors
    assert "the trace from step 2 to 5 is in" in errors[0]
    assert "trace" not in errors[1]
    assert len(list((tmp_path / "run").glob("tensorboard/plugins/profile/*/*.xplane.pb"))) == 1


def test_different_steps_to_profile_are_refused(tmp_path, job):
    workdir = f"--workdir={tmp_path / 'run'}"
    statuses, errors = ends(job([workdir], [workdir, "--profile_steps=2,5"]), 60)
    assert statuses == [2, 2], errors
    assert "workers 0 and 1 have different values of --profile_steps" in errors[0]


OWN_DATA = """
import json, os
import numpy as np
from trainer.data.examples import InMemoryExamples, Source

def load(config, data_dir):
    features = np.random.default_rng(0).integers(0, 256, (200, 2, 2, 1), np.uint8)
    targets = np.arange(200, dtype=np.int32) % 2
    targets[7] ^= json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    return Source({"train": InMemoryExamples(features, targets)}, ("a", "b"))
"""


def test_different_data_are_refused(tmp_path, job, monkeypatch):
    (tmp_path / "own_data.py").write_text(OWN_DATA)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    source = ("--config.data.kind=custom", "--config.data.source=own_data:load")
    workers = job(*[[f"--workdir={tmp_path / 'run'}", *source]] * 2)
    statuses, errors = ends(workers, 60)
    assert statuses == [2, 2], errors
    for error in errors:
        assert "error: workers 0 and 1 have different data" in error


def test_an_error_of_the_chief_ends_all_workers(tmp_path, job):
    (tmp_path / "thesis.txt").write_text("mine")
    statuses, errors = ends(job(*[[f"--workdir={tmp_path}"]] * 2), 60)
    assert statuses == [2, 2], errors
    assert "is not a run of trainer" in errors[0]
    assert "error: worker 0: " in errors[1]


def test_waiting_for_the_cluster_is_shown_and_interrupted(tmp_path, job):
    (worker,) = job([f"--workdir={tmp_path / 'run'}"])
    line = worker.stderr.readline()
    assert line.startswith("waiting for worker 1 (127.0.0.1:")
    started = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    statuses, errors = ends([worker], 60)
    assert time.monotonic() - started < 10
    assert statuses == [75]
    assert "stopped before training; run the same command" in errors[0]


@pytest.mark.parametrize("lost", [0, 1])
def test_the_others_end_soon_after_a_worker_is_lost(lost, tmp_path, job, progress):
    run = tmp_path / "run"
    arguments = [f"--workdir={run}", "--config.train.steps=100000"]
    workers = job(arguments, arguments)
    progress.wait_for_step(run, 100, workers[0])
    workers[lost].kill()
    killed = time.monotonic()
    statuses, errors = ends([workers[1 - lost]], 60)
    assert time.monotonic() - killed < 30
    assert statuses == [75], errors
    assert f"worker {lost} was lost; run the same command to resume" in errors[0]
    assert "Traceback" not in errors[0]


def test_killed_and_stopped_jobs_end_like_an_undisturbed_job(tmp_path, job, progress, state_digest):
    def arguments(name):
        return [[f"--workdir={tmp_path / name}", "--config.train.steps=400"]] * 2

    statuses, errors = ends(job(*arguments("alone")), 120)
    assert statuses == [0, 0], errors
    assert "strategy multi_worker: 2 replicas" in errors[0]
    # The second worker leaves the talking and the files to the first.
    assert errors[1] == ""
    result = json.loads((tmp_path / "alone" / "result.json").read_text())
    assert result["metrics"]["test/accuracy"] > 0.4
    run = tmp_path / "run"
    workers = job(*arguments("run"))
    progress.wait_for_step(run, 100, workers[0])
    # Of one worker, and both stop.
    workers[1].send_signal(signal.SIGTERM)
    statuses, errors = ends(workers, 60)
    assert statuses == [75, 75], errors
    statuses, errors = ends(job(*arguments("run")), 120)
    assert statuses == [0, 0], errors
    assert "resuming at step" in errors[0]
    assert state_digest(run) == state_digest(tmp_path / "alone")
    assert progress.records(run) == progress.records(tmp_path / "alone")
    # A finished job says so.
    statuses, errors = ends(job(*arguments("run")), 60)
    assert statuses == [0, 0], errors
    assert "this run is finished at step 400" in errors[0]

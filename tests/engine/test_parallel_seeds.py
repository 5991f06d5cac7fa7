"""Several seeds side by side, in real processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from trainer.cli.main import run
from trainer.config import ReinforcementLearning, Supervised
from trainer.engine import parallel_seeds
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.launch import bound
from trainer.engine.resources import available_cores, divide
from trainer.errors import UserError
from trainer.io.records import read_records

SUPERVISED = (
    "--config=configs/digits_cnn.py",
    "--config.model.kind=mlp",
    "--config.model.units=16",
    "--config.train.steps=30",
)
AGENT = (
    "--config=configs/cartpole_dqn.py",
    "--jit=off",
    "--config.environment.time_limit=40",
    "--config.model.units=16",
    "--config.train.steps=2400",
    "--config.train.checkpoint_every=200",
    "--config.agent.replay.min_size=200",
    "--config.evaluate.episodes=2",
)
TWO = ("--strategy=cpu", "--config.seed=3", "--config.seeds=2", "--parallel_seeds=2")


def alone(workdir, arguments, seed):
    """Trains one seed on as many cores as each of two side by side has."""
    flags = ("train", *arguments, "--strategy=cpu", f"--config.seed={seed}", f"--workdir={workdir}")
    cores = divide(2, (), available_cores())[1].cores
    command = bound([sys.executable, "-m", "trainer", *flags], cores)
    subprocess.run(command, check=True, capture_output=True)


def trainings(process):
    """The processes of the seeds that `trainer train` has started."""
    found = {}
    for child in psutil.Process(process.pid).children():
        command = child.cmdline()
        if "trainer.engine.launch" not in command:
            found |= {Path(a).name: child for a in command if a.startswith("--workdir=")}
    return found


def wait_until_ended(processes):
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("alone") / "run"
    alone(workdir, AGENT, seed=4)
    return workdir


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The work directory of two seeds, and what the command printed."""
    workdir = tmp_path_factory.mktemp("runs") / "digits"
    command = [sys.executable, "-m", "trainer", "train", *SUPERVISED, *TWO, f"--workdir={workdir}"]
    process = subprocess.run(command, check=True, capture_output=True, text=True)
    return workdir, process.stdout, process.stderr


def test_lines_have_the_seed_and_fit_into_80_columns(trained):
    _, out, err = trained
    assert out.startswith("finished at step 30 ")
    lines = err.splitlines()
    assert {line[:8] for line in lines} == {"seed 3: ", "seed 4: "}
    assert max(map(len, lines)) <= 80


def test_runs_side_by_side_equal_single_runs(trained, tmp_path, progress, state_digest):
    workdir, _, _ = trained
    alone(tmp_path / "alone", SUPERVISED, seed=4)
    assert progress.records(tmp_path / "alone") == progress.records(workdir / "seed_4")
    assert state_digest(tmp_path / "alone") == state_digest(workdir / "seed_4")
    result = json.loads((workdir / "result.json").read_text())
    each = [json.loads((workdir / f"seed_{n}" / "result.json").read_text()) for n in (3, 4)]
    assert result["seeds"] == {"3": each[0]["metrics"], "4": each[1]["metrics"]}
    (record,) = read_records(str(workdir / "metrics.jsonl"))
    scores = [one["metrics"]["test/accuracy"] for one in each]
    assert record.metrics["accuracy_of_each_seed"] == scores
    assert json.loads((workdir / "config.json").read_text())["seeds"] == 2


def test_one_more_seed_trains_only_that_one_on_the_same_data(trained, start, tmp_path, capsys):
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "seed_3" / "result.json").stat().st_mtime_ns
    command = ("train", *SUPERVISED, *TWO, f"--workdir={tmp_path}", "--config.seeds=3")
    process = start(*command)
    err = process.communicate()[1]
    assert process.returncode == 0, err
    assert {line[:8] for line in err.splitlines()} == {"seed 5: "}
    assert (tmp_path / "seed_3" / "result.json").stat().st_mtime_ns == before
    assert set(json.loads((tmp_path / "result.json").read_text())["seeds"]) == {"3", "4", "5"}
    (tmp_path / "result.json").unlink()
    signature = tmp_path / "seed_4" / "signature.json"
    signature.write_text(signature.read_text().replace('"examples": 1251', '"examples": 1250'))
    assert run(command) == 2
    error = f"error: the data have changed between the runs in {tmp_path}/seed_3 and "
    assert capsys.readouterr().err.startswith(error)
    assert run([*command, "--accept_changed_data"]) == 0


def test_stopped_seeds_resume_exactly(start, tmp_path, progress, state_digest, uninterrupted):
    command = ("train", *AGENT, *TWO, f"--workdir={tmp_path}", "--config.seeds=3")
    process = start(*command)
    for seed in (3, 4):
        progress.wait_for_step(tmp_path / f"seed_{seed}", 200, process)
    running = list(trainings(process).values())
    if sys.platform == "linux":
        assert "tensorflow" not in Path(f"/proc/{process.pid}/maps").read_text()
    process.send_signal(signal.SIGTERM)
    err = process.communicate()[1]
    assert process.returncode == 75, err
    assert err.endswith(
        "stopped with the states of all seeds saved; run the same command to resume\n"
    )
    wait_until_ended(running)
    assert not (tmp_path / "result.json").exists()
    resumed = start(*command)
    err = resumed.communicate()[1]
    assert resumed.returncode == 0, err
    assert len(json.loads((tmp_path / "result.json").read_text())["seeds"]) == 3
    assert progress.records(uninterrupted) == progress.records(tmp_path / "seed_4")
    assert state_digest(uninterrupted) == state_digest(tmp_path / "seed_4")


def test_a_killed_process_leaves_no_runs(start, tmp_path):
    process = start("train", *AGENT, *TWO, f"--workdir={tmp_path}")
    while len(found := trainings(process)) < 2:
        time.sleep(0.05)
    process.kill()
    wait_until_ended(list(found.values()))


def test_a_killed_run_stops_the_others(start, tmp_path):
    process = start("train", *AGENT, *TWO, f"--workdir={tmp_path}")
    while len(found := trainings(process)) < 2:
        time.sleep(0.05)
    found["seed_3"].kill()
    err = process.communicate()[1]
    assert process.returncode == 75, err
    assert "\nseed 3: killed by SIGKILL (out of memory?); the states of all" in f"\n{err}"
    wait_until_ended(list(found.values()))


def test_a_failing_seed_stops_the_others(start, tmp_path):
    (tmp_path / "seed_4").mkdir()
    (tmp_path / "seed_4" / "notes.txt").touch()
    process = start("train", *AGENT, *TWO, f"--workdir={tmp_path}", "--config.train.steps=9999999")
    err = process.communicate()[1]
    assert process.returncode == 2, err
    (error,) = [line for line in err.splitlines() if "error" in line]
    assert error.startswith(
        f"error: seed 4: exit status 2: --workdir={tmp_path}/seed_4 is not empty"
    )


def test_wrong_input_leaves_nothing(tmp_path, capsys):
    arguments = ["train", *SUPERVISED, *TWO, "--config.train.global_batch_size=99999"]
    assert run([*arguments, f"--workdir={tmp_path / 'run'}"]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert len(errors) == 1
    assert ": exit status 2: train.global_batch_size must be" in errors[0]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("seeds", "strategy", "asked", "expected"),
    [
        (1, "cpu", 4, 1),
        (3, "cpu", 1, 1),
        (3, "cpu", 2, 2),
        (3, "cpu", 8, 3),
        (3, "mirrored", 0, 1),
        (3, "tpu", 1, 1),
        (999, "cpu", 0, len(os.sched_getaffinity(0))),
        (999, "auto", 0, len(os.sched_getaffinity(0))),
    ],
)
def test_the_number_of_processes(seeds, strategy, asked, expected, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for experiment in (Supervised(seeds=seeds), ReinforcementLearning(seeds=seeds)):
        config = DistributionConfig(strategy=strategy)
        assert parallel_seeds.number_of_processes(experiment, config, asked) == expected


def test_one_accelerator_is_not_shared(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    experiment = Supervised(seeds=2)
    assert parallel_seeds.number_of_processes(experiment, DistributionConfig(), 0) == 1
    virtual = DistributionConfig(virtual_devices=2)
    assert parallel_seeds.number_of_processes(experiment, virtual, 0) == 1
    for config in (DistributionConfig(), DistributionConfig(strategy="gpu")):
        with pytest.raises(UserError, match=r"needs a CPU: .*\. Received: 2"):
            parallel_seeds.number_of_processes(experiment, config, 2)

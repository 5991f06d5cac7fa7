"""`trainer train` and `trainer evaluate` on an agent, from start to end."""

import json
import re
import subprocess
import sys

import pytest

from trainer.cli.main import run
from trainer.engine.distribution import Runtime
from trainer.io.records import read_records

SMALL = (
    "--config.environment.time_limit=50",
    "--config.model.units=16",
    "--config.train.steps=2000",
    "--config.agent.replay.min_size=200",
    "--config.evaluate.episodes=20",
)


def train(workdir, *arguments):
    return run(["train", "--config=configs/cartpole_dqn.py", f"--workdir={workdir}", *arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "cartpole"
    assert train(workdir, *SMALL) == 0
    return workdir


def read(workdir):
    return json.loads((workdir / "result.json").read_text())


def test_the_result_has_the_promised_content(trained):
    result = read(trained)
    assert result["status"] == "finished"
    assert result["task"] == "rl"
    assert result["step"] >= 2000
    metrics = result["metrics"]
    low, high = metrics["test/return_ci95"]
    assert low <= metrics["test/return_iqm"] <= high
    assert metrics["test/episodes"] == 20
    assert all(name.startswith("test/") for name in metrics)
    assert set(result["throughput"]) == {
        "env_steps_per_second",
        "updates_per_second",
        "input_wait_fraction",
    }


def test_evaluate_repeats_the_final_evaluation(trained, capsys):
    assert run(["evaluate", f"--workdir={trained}"]) == 0
    printed = json.loads(capsys.readouterr().out)
    found = {f"test/{name}": value for name, value in printed["metrics"].items()}
    assert found == read(trained)["metrics"]


def test_a_run_can_be_blind_to_the_test_episodes(trained, tmp_path, capsys):
    assert train(tmp_path / "run", *SMALL, "--config.evaluate.split=validation") == 0
    result = read(tmp_path / "run")
    records = read_records(str(tmp_path / "run" / "metrics.jsonl"))
    assert {record.split for record in records} == {"train", "eval"}
    selected = next(
        record.metrics
        for record in records
        if (record.split, record.step) == ("eval", result["checkpoint"]["step"])
    )
    last = records[-2].metrics
    last = {f"last_{name}": last[name] for name in ("return_mean", "return_iqm", "return_ci95")}
    assert result["metrics"] == {
        f"eval/{name}": value for name, value in {**selected, **last}.items()
    }
    # The same run, except for what is reported at its end.
    others = read_records(str(trained / "metrics.jsonl"))
    assert [record.split for record in others].count("test") == 1
    capsys.readouterr()
    for workdir in (trained, tmp_path / "run"):
        assert run(["evaluate", f"--workdir={workdir}", "--split=validation"]) == 0
        assert json.loads(capsys.readouterr().out)["metrics"] == {**selected, **last}
    assert run(["evaluate", f"--workdir={trained}", "--split=train"]) == 2
    assert "Received: 'train'" in capsys.readouterr().err


def test_the_last_checkpoint_is_reported_beside_the_best(trained, capsys):
    """The last weights are evaluated again, as those of a run that selects them."""
    metrics = read(trained)["metrics"]
    config = trained / "config.json"
    before = config.read_text()
    config.write_text(before.replace('"checkpoint": "best"', '"checkpoint": "last"'))
    assert run(["evaluate", f"--workdir={trained}"]) == 0
    config.write_text(before)
    last = json.loads(capsys.readouterr().out)["metrics"]
    assert not any(name.startswith("last_") for name in last)
    for name in ("return_mean", "return_iqm", "return_ci95"):
        assert metrics[f"test/last_{name}"] == last[name]


def test_a_run_stops_at_a_return_and_shows_the_published_one(tmp_path, capsys):
    reference = "195 is solved, documentation of Gym"
    arguments = (
        "--config.train.stop_at_return=2",
        "--config.train.evaluate_every=400",
        f"--config.evaluate.reference={reference}",
    )
    assert train(tmp_path / "run", *SMALL, *arguments) == 0
    captured = capsys.readouterr()
    assert f"\npublished: {reference}\n" in captured.out
    result = read(tmp_path / "run")
    assert result["reference"] == reference
    assert result["stopped_early"]
    # 400 steps, in whole iterations of 32.
    assert result["step"] == 416
    assert result["metrics"]["test/last_return_mean"] == result["metrics"]["test/return_mean"]


def test_predict_is_for_supervised_runs(trained, capsys):
    assert run(["predict", f"--workdir={trained}", "x.png"]) == 2
    assert "predict supports supervised runs only" in capsys.readouterr().err


def test_a_stopped_run_resumes_bit_for_bit(trained, tmp_path, monkeypatch, state_digest, capsys):
    """The signal is the supervised side's test; here a stop in the middle of an agent's run."""
    asked = iter(range(10**6))
    sum_over_workers = Runtime.sum_over_workers

    def stop_in_time(self, value):
        return sum_over_workers(self, value or float(next(asked) >= 6))

    monkeypatch.setattr(Runtime, "sum_over_workers", stop_in_time)
    assert train(tmp_path / "run", *SMALL) == 75
    monkeypatch.undo()
    assert train(tmp_path / "run", *SMALL) == 0
    assert "resuming at environment step" in capsys.readouterr().err
    assert state_digest(tmp_path / "run") == state_digest(trained)
    assert read(tmp_path / "run")["metrics"] == read(trained)["metrics"]


def test_the_terminal_shows_only_our_output(tmp_path, request):
    process = subprocess.run(
        [sys.executable, "-m", "trainer", "train", "--config=configs/cartpole_dqn.py",
         f"--workdir={tmp_path / 'run'}", *SMALL],
        cwd=request.config.rootpath, capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = ("strategy cpu: ", "replay 100,000 transitions in ", "compiled in ")
    lines = [line for line in process.stderr.splitlines() if not line.startswith(ours)]
    # The rest is the table of reports: a header of two lines, and one line per report.
    assert lines[1].split()[:2] == ["step", "return_mean"]
    assert all(re.match(r" *\d+/\d+ ", line) for line in lines[2:])
    assert max(map(len, lines)) < 80
    assert len(process.stdout.splitlines()) == 4

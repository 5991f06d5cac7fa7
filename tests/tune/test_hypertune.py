"""The file that Vertex AI's tuning service reads."""

import json

from trainer.cli.main import run
from trainer.tune import hypertune


def test_nothing_is_written_outside_a_tuning_job(tmp_path):
    path = tmp_path / "metrics"
    hypertune.report({"eval/loss": 1.0}, 10, {"CLOUD_ML_HP_METRIC_FILE": str(path)})
    assert not path.exists()


def test_one_line_per_number(tmp_path):
    path = tmp_path / "new" / "output.metrics"
    environment = {"CLOUD_ML_HP_METRIC_FILE": str(path), "CLOUD_ML_TRIAL_ID": "3"}
    hypertune.report({"eval/loss": 1, "eval/ci95": [0.0, 1.0]}, 10, environment, now=5.0)
    hypertune.report({"eval/loss": 0.5}, 20, environment, now=6.0)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {
            "timestamp": now,
            "trial": "3",
            "eval/loss": value,
            "global_step": step,
            "checkpoint_path": "",
        }
        for now, value, step in ((5.0, "1.0", "10"), (6.0, "0.5", "20"))
    ]


def test_training_reports_its_result(tmp_path, monkeypatch, request):
    path, workdir = tmp_path / "metrics", tmp_path / "run"
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", str(path))
    monkeypatch.setenv("CLOUD_ML_TRIAL_ID", "7")
    monkeypatch.chdir(request.config.rootpath)
    small = ("--config.model.kind=linear", "--config.train.steps=5")
    assert run(["train", "--config=configs/digits_cnn.py", *small, f"--workdir={workdir}"]) == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    metrics = json.loads((workdir / "result.json").read_text())["metrics"]
    reported = {name: float(line[name]) for line in lines for name in line if "/" in name}
    assert reported == metrics
    assert {(line["trial"], line["global_step"]) for line in lines} == {("7", "5")}

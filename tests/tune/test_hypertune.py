"""The file that Vertex AI's tuning service reads."""

import json

from trainer.tune import hypertune


def test_nothing_is_written_where_no_service_asks(tmp_path):
    path = tmp_path / "metrics"
    hypertune.report({"eval/loss": 1.0}, 10, {"CLOUD_ML_HP_METRIC_FILE": str(path)})
    assert not path.exists()


def test_a_line_for_each_number(tmp_path):
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

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.cli.main import run
from trainer.config import Evaluate, ReinforcementLearning, Supervised, loading
from trainer.errors import UserError
from trainer.metrics import table

ROOT = Path(__file__).parents[2]


def test_the_loss_comes_first():
    assert [metric.name for metric in table.find_all(("auc", "accuracy"))] == [
        "loss", "auc", "accuracy",
    ]  # fmt: skip


def test_an_unknown_metric_names_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'accuracy'"):
        table.find("acuracy")


def test_a_metric_named_twice_is_refused():
    with pytest.raises(UserError, match="two metrics of the name 'auc'"):
        table.find_all(("auc", "auc"))


def test_a_users_own_metric_must_be_a_metric():
    with pytest.raises(UserError, match=r"must be a trainer\.metrics\.metric\.Metric"):
        table.find("math:sqrt")


def test_a_users_own_metric_is_reported_under_its_name():
    with pytest.raises(UserError, match=r"must have the name 'LOSS'\. Received: 'loss'"):
        table.find("trainer.metrics.classification:LOSS")
    experiment = Supervised(evaluate=Evaluate(metrics=("accuracy", "my_metrics:top_3")))
    reported = table.reported(experiment)
    assert {"eval/loss", "eval/accuracy", "eval/top_3", "train/top_3"} <= set(reported)
    assert "eval/accuracy" not in table.reported(ReinforcementLearning())


def test_directions():
    assert table.more_is_better("eval/accuracy") is True
    assert table.more_is_better("train/loss") is False
    assert table.more_is_better("eval/length_mean") is None
    assert table.more_is_better("test/last_return_iqm") is True
    assert table.more_is_better("eval/of_a_user") is None


def test_the_table_needs_no_tensorflow():
    program = "import sys; from trainer.metrics import table; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--config=configs/digits_cnn.py", "--config.model.kind=linear", "--config.train.steps=40"),
        (
            "--config=configs/cartpole_dqn.py",
            "--config.train.steps=3000",
            "--config.evaluate.episodes=2",
        ),
    ],
    ids=["supervised", "rl"],
)
def test_the_table_has_exactly_the_metrics_that_a_run_reports(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    workdir = tmp_path / "run"
    assert run(["train", *arguments, f"--workdir={workdir}"]) == 0
    experiment = loading.load(str(workdir / "config.json"))
    reported = set()
    for line in (workdir / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        numbers = {
            name for name, value in record["metrics"].items() if isinstance(value, int | float)
        }
        reported |= {f"{record['split']}/{name}" for name in numbers}
    # CartPole does not tell whether an episode succeeded.
    expected = set(table.reported(experiment)) - {"eval/success_rate"}
    assert {name for name in reported if not name.startswith("test/")} == expected

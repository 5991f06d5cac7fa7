"""Extending and shortening a run."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from trainer.cli.main import run
from trainer.compat.keras import tf
from trainer.engine.checkpoints import Checkpoints


@pytest.fixture
def train(tmp_path, request, monkeypatch, capsys):
    """Trains on the digits; returns the exit status and what was printed on stderr."""
    monkeypatch.chdir(request.config.rootpath)

    def train(*arguments):
        status = run(
            [
                "train",
                "--config=configs/digits_cnn.py",
                "--config.model.kind=linear",
                "--config.optimizer.learning_rate=0.01",
                f"--workdir={tmp_path / 'run'}",
                *(f"--config.{argument}" for argument in arguments),
            ]
        )
        return status, capsys.readouterr().err

    return train


def learning_rates(tmp_path):
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    records = map(json.loads, lines)
    return {r["step"]: r["metrics"]["learning_rate"] for r in records if r["split"] == "train"}


COSINE = ("optimizer.schedule.kind=cosine", "train.report_every=1")


def test_a_jump_of_the_learning_rate_is_announced(train, tmp_path):
    assert train(*COSINE, "train.steps=10")[0] == 0
    status, error = train(*COSINE, "train.steps=20")
    assert status == 0
    (line,) = re.findall(r".*learning rate jumps.*", error)
    assert "from 0 to 0.005 at step 10" in line
    assert "ends at step 20 instead of 10" in line
    assert "optimizer.schedule_steps" in line
    # The figures are those that the run reports.
    assert learning_rates(tmp_path)[10] == pytest.approx(0, abs=1e-9)
    assert learning_rates(tmp_path)[20] == pytest.approx(0, abs=1e-9)
    assert learning_rates(tmp_path)[11] == pytest.approx(0.00422, abs=1e-5)


def test_a_schedule_of_its_own_length_does_not_jump(train, tmp_path):
    fixed = (*COSINE, "optimizer.schedule_steps=20")
    assert train(*fixed, "train.steps=10")[0] == 0
    status, error = train(*fixed, "train.steps=20")
    assert status == 0
    assert "jumps" not in error
    assert learning_rates(tmp_path)[10] == pytest.approx(0.005, abs=1e-6)
    assert learning_rates(tmp_path)[20] == pytest.approx(0, abs=1e-9)


def test_fewer_updates_are_refused_in_whatever_unit(train, tmp_path):
    assert train("train.epochs=2")[0] == 0
    kept = (tmp_path / "run" / "config.json").read_text()
    for fewer in ("train.epochs=1", "train.steps=3"):
        status, error = train("train.epochs=2", fewer)
        assert status == 2
        assert "can only be extended" in error
        assert (tmp_path / "run" / "config.json").read_text() == kept
    assert (tmp_path / "run" / "result.json").exists()
    assert train("train.epochs=2", "train.steps=50")[0] == 0


def test_the_averaged_network_is_evaluated_and_used(train, tmp_path, capsys):
    """After few updates it is far from the network in training, whose metrics are `raw_`."""
    length = ("train.steps=20", "train.ema_decay=0.9", "optimizer.learning_rate=0.05")
    assert train(*length)[0] == 0
    workdir = tmp_path / "run"
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    last = [record["metrics"] for record in lines if record["split"] == "eval"][-1]
    assert set(last) == {"loss", "accuracy", "raw_loss", "raw_accuracy"}
    assert abs(last["loss"] - last["raw_loss"]) > 0.01

    found, _ = Checkpoints(str(workdir / "checkpoints"), keep=2).newest()
    reader = tf.train.load_checkpoint(found.prefix)
    average, raw = (
        [reader.get_tensor(f"ema/{name}/{n}/.ATTRIBUTES/VARIABLE_VALUE") for n in range(2)]
        for name in ("_averages", "_variables")
    )
    assert abs(average[0] - raw[0]).max() > 1e-3
    pixels = np.asarray(Image.open("docs/images/digit_3.png"), np.float32).reshape(64) / 255
    logits = pixels @ average[0] + average[1]
    expected = np.exp(logits) / np.exp(logits).sum()
    assert run(["predict", f"--workdir={workdir}", "docs/images/digit_3.png"]) == 0
    printed = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(list(printed["probabilities"].values()), expected, rtol=1e-4)

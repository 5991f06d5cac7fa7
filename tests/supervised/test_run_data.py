"""The data of a run change while it is stopped, or before it is evaluated."""

import json

import numpy as np
import pytest

from trainer.cli.main import run
from trainer.config import CSV
from trainer.data.sources.csv import load
from trainer.data.splits import content_hash

STEPS = 20


@pytest.fixture
def table(tmp_path):
    """Writes rows `(a, b, label)` to the table of the run; returns its path."""

    def write(rows, header="a,b,label"):
        path = tmp_path / "t.csv"
        path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
        return path

    return write


def rows(count, scale=1.0, classes=("no", "yes"), seed=0):
    features = np.random.default_rng(seed).normal(size=(count, 2)) * scale
    return [(a, b, classes[number % len(classes)]) for number, (a, b) in enumerate(features)]


@pytest.fixture
def train(tmp_path, request, monkeypatch, capsys):
    """Trains on the table; returns the exit status and what was printed on stderr."""
    monkeypatch.chdir(request.config.rootpath)

    def train(*arguments, steps=STEPS):
        status = run(
            [
                "train",
                "--config=configs/digits_cnn.py",
                "--config.data.kind=csv",
                f"--config.data.path={tmp_path / 't.csv'}",
                "--config.model.kind=linear",
                "--config.train.global_batch_size=16",
                f"--config.train.steps={steps}",
                f"--workdir={tmp_path / 'run'}",
                *arguments,
            ]
        )
        return status, capsys.readouterr().err

    return train


@pytest.fixture
def evaluate(tmp_path, capsys):
    def evaluate(split="test"):
        status = run(["evaluate", f"--workdir={tmp_path / 'run'}", f"--split={split}"])
        out, err = capsys.readouterr()
        return status, json.loads(out)["metrics"] if status == 0 else {}, err

    return evaluate


def signature(tmp_path):
    return json.loads((tmp_path / "run" / "signature.json").read_text())


def test_changed_data_are_refused_and_continued_only_on_purpose(train, table, tmp_path):
    table(rows(200))
    assert train()[0] == 0
    began = signature(tmp_path)
    sizes = {split["split"]: split["examples"] for split in began["splits"]}
    assert sum(sizes.values()) == 200

    table(rows(200) + rows(50, scale=100.0, seed=1))
    status, error = train(steps=2 * STEPS)
    assert status == 2
    assert f"examples, and had {sizes['train']}" in error
    assert "--accept_changed_data" in error
    assert "Traceback" not in error
    assert signature(tmp_path) == began
    assert json.loads((tmp_path / "run" / "result.json").read_text())["step"] == STEPS

    status, error = train("--accept_changed_data", steps=2 * STEPS)
    assert status == 0, error
    assert "continuing with changed data" in error
    accepted = signature(tmp_path)
    assert sum(split["examples"] for split in accepted["splits"]) == 250
    assert {**accepted, "splits": None} == {**began, "splits": None}
    # Accepted once, the data are those of the run.
    status, error = train(steps=3 * STEPS)
    assert status == 0, error
    assert "changed data" not in error


def test_what_the_run_cannot_use_is_one_line(train, table, evaluate, tmp_path):
    table(rows(200))
    assert train()[0] == 0
    began = signature(tmp_path)
    other_label = rows(200)
    other_label[7] = (*other_label[7][:2], "no" if other_label[7][2] == "yes" else "yes")
    table(other_label)
    status, error = train(steps=2 * STEPS)
    assert status == 2
    assert "other contents or another order" in error

    more = ("--accept_changed_data",)
    table(rows(200, classes=("maybe", "no", "yes")))
    for status, error in (train(steps=40), train(*more, steps=40), evaluate()[::2]):
        assert status == 2
        assert "no class 'maybe'" in error
        assert "Traceback" not in error
    table([(a, *row) for a, row in enumerate(rows(200))], header="c,a,b,label")
    for status, error in (train(*more, steps=40), evaluate()[::2]):
        assert status == 2
        assert "the run has the columns a, b" in error
    assert signature(tmp_path) == began


def test_evaluation_uses_the_scaling_and_the_classes_of_the_run(train, table, evaluate):
    table(rows(200))
    assert train()[0] == 0
    status, before, error = evaluate()
    assert status == 0
    assert "differs" not in error
    # Held-out rows stay where they are, so that only the scaling could change the metrics.
    extra = going_to_training(table, rows(60, scale=100.0, seed=1))
    assert len(extra) > 30
    table(rows(200) + extra)
    status, after, error = evaluate()
    assert (status, error) == (0, "")
    assert after == before
    status, _, error = evaluate("train")
    assert status == 0
    assert "differ from the run's" in error


def test_evaluation_of_fewer_classes_keeps_their_numbers(train, table, evaluate):
    table(rows(300, classes=("a", "b", "c")))
    assert train()[0] == 0
    table([row for row in rows(300, classes=("a", "b", "c")) if row[2] != "a"])
    status, metrics, error = evaluate("train")
    assert status == 0, error
    assert 0 < metrics["accuracy"] < 1


def going_to_training(table, made):
    """The rows that are not held out; the table is overwritten."""
    source = load(CSV(path=str(table(made))), "")
    places = content_hash(source.splits["train"], seed=0)
    return [row for row, place in zip(made, places, strict=True) if place >= 0.3]

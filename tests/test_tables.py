"""Tables from the command line: training, evaluation and prediction for each kind of target."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trainer.cli.main import run

ROOT = Path(__file__).parents[1]
ROWS = 400


@pytest.fixture(autouse=True)
def root(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("TRAINER_CACHE_DIR", str(tmp_path / "cache"))


def write(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows(count=ROWS, seed=0):
    """Two numbers, one of them sometimes missing, and a color; targets are functions of them."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        x, y = random.normal(size=2)
        color = ("red", "green", "blue")[random.integers(3)]
        shift = {"red": 0.0, "green": 1.0, "blue": -1.0}[color]
        made.append(
            {
                "x": f"{x:.4f}",
                "y": "" if random.uniform() < 0.1 else f"{y:.4f}",
                "color": color,
                "price": f"{100 + 20 * (2 * x + shift):.3f}",
                "weight": f"{3 * x - shift:.3f}",
                "fraud": "yes" if x + shift > 1.2 else "no",
                "tags": ";".join(t for t, is_on in (("big", x > 0), ("new", shift > 0)) if is_on),
            }
        )
    return made


def train(tmp_path, name, *arguments, epochs=30):
    workdir = tmp_path / name
    command = (
        "train",
        "--config=configs/digits_cnn.py",
        "--config.model.kind=mlp",
        "--config.model.units=32",
        "--config.optimizer.learning_rate=0.01",
        "--config.data.kind=csv",
        f"--config.data.path={tmp_path / 'table.csv'}",
        f"--config.train.epochs={epochs}",
        "--config.train.global_batch_size=32",
        f"--workdir={workdir}",
        *arguments,
    )
    assert run(command) == 0
    return workdir


def result(workdir):
    return json.loads((workdir / "result.json").read_text())


def lines(capsys, command):
    capsys.readouterr()
    assert run(command) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_regression_of_two_values(tmp_path, capsys):
    write(tmp_path / "table.csv", rows())
    workdir = train(
        tmp_path,
        "run",
        "--config.train.label_smoothing=0",
        "--config.data.target=regression",
        "--config.data.labels=price,weight",
        "--config.data.ignore=fraud,tags",
    )
    shown = capsys.readouterr().err
    assert "columns of the" in shown
    assert "color" in shown
    assert "categorical" in shown
    metrics = result(workdir)["metrics"]
    assert set(metrics) == {"test/loss", "test/mae", "test/rmse", "test/r2"}
    assert metrics["test/r2"] > 0.95
    assert abs(result(workdir)["baseline"]["test/r2"]) < 0.1
    # In their own unit: prices vary by 40.
    assert 0.2 < metrics["test/mae"] < 10
    (evaluated,) = lines(capsys, ("evaluate", f"--workdir={workdir}"))
    assert evaluated["metrics"] == {
        name.removeprefix("test/"): value for name, value in metrics.items()
    }
    new = write(tmp_path / "new.csv", [{"color": "green", "extra": "1", "y": "0", "x": "1.0"}])
    (predicted,) = lines(capsys, ("predict", f"--workdir={workdir}", str(new)))
    assert predicted["file"] == f"{new}:2"
    assert abs(predicted["values"]["price"] - 160) < 15
    assert abs(predicted["values"]["weight"] - 2) < 1


def test_an_imbalanced_class_with_a_threshold(tmp_path, capsys):
    write(tmp_path / "table.csv", rows())
    workdir = train(
        tmp_path,
        "run",
        "--config.data.label=fraud",
        "--config.data.positive_class=no",
        "--config.data.ignore=tags,price,weight",
        "--config.data.stratify=true",
        "--config.train.class_weights=balanced",
        "--config.train.sampling=balanced",
        "--config.train.focal_gamma=1",
        "--config.evaluate.metrics=accuracy,f1,auc_pr,confusion_matrix",
        "--config.evaluate.best_metric=auc_pr",
        "--config.evaluate.threshold=cost",
        "--config.evaluate.costs=1,9",
        epochs=10,
    )
    signature = json.loads((workdir / "signature.json").read_text())
    (threshold,) = signature["thresholds"]
    assert signature["classes"] == ["yes", "no"]
    (evaluated,) = lines(capsys, ("evaluate", f"--workdir={workdir}"))
    assert evaluated["metrics"]["f1"] == result(workdir)["metrics"]["test/f1"] > 0.9
    # `predict` decides as evaluation does.
    table = write(tmp_path / "new.csv", rows(200, seed=1))
    predicted = lines(capsys, ("predict", f"--workdir={workdir}", str(table)))
    for each in predicted:
        assert (each["class"] == "no") == (each["probabilities"]["no"] >= threshold)
        assert each["probability"] == each["probabilities"][each["class"]]
    assert {each["class"] for each in predicted} == {"yes", "no"}


def test_lists_of_labels(tmp_path, capsys):
    write(tmp_path / "table.csv", rows())
    workdir = train(
        tmp_path,
        "run",
        "--config.data.label=tags",
        "--config.data.target=multi_label",
        "--config.data.ignore=fraud,price,weight",
        "--config.evaluate.metrics=accuracy,exact_match,f1_per_class",
        "--config.evaluate.threshold=f1",
        "--config.train.class_weights=new=2",
        epochs=10,
    )
    metrics = result(workdir)["metrics"]
    assert metrics["test/exact_match"] > 0.8
    assert len(metrics["test/f1_per_class"]) == 2
    new = write(tmp_path / "new.csv", [{"x": "2", "y": "NA", "color": "green"}])
    (predicted,) = lines(capsys, ("predict", f"--workdir={workdir}", str(new)))
    assert predicted["labels"] == ["big", "new"]


def test_unseen_missing_and_reordered_cells_are_predicted(tmp_path, capsys):
    write(tmp_path / "table.csv", rows())
    ignored = "--config.data.ignore=tags,price,weight"
    workdir = train(tmp_path, "run", "--config.data.label=fraud", ignored, epochs=1)
    columns = ("x", "y", "color")
    made = [{name: row[name] for name in columns} for row in rows(20, seed=2)]
    first = lines(capsys, ("predict", f"--workdir={workdir}", str(write(tmp_path / "a.csv", made))))
    other = [{name: row[name] for name in reversed(columns)} | {"z": "?"} for row in made]
    second = lines(
        capsys, ("predict", f"--workdir={workdir}", str(write(tmp_path / "b.csv", other)))
    )
    assert [each["probabilities"] for each in second] == [each["probabilities"] for each in first]
    strange = [{"x": "", "y": "none", "color": "purple"}, {"x": "1", "y": "1", "color": ""}]
    assert (
        len(
            lines(
                capsys, ("predict", f"--workdir={workdir}", str(write(tmp_path / "c.csv", strange)))
            )
        )
        == 2
    )
    # A command of the user's, with the wrong columns.
    missing = write(tmp_path / "d.csv", [{"x": "1", "colour": "red", "y": "2"}])
    assert run(("predict", f"--workdir={workdir}", str(missing))) == 2
    assert "Did you mean" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--config.data.label=price",), "data.target=regression"),
        (("--config.data.label=fraud", "--config.evaluate.threshold=cost"), "requires costs"),
        (("--config.data.label=fraud", "--config.train.class_weights=maybe=2"), "maybe"),
        (("--config.data.label=fraud", "--config.evaluate.metrics=mae"), "metric of a class"),
        (("--config.data.label=fraud", "--config.data.positive_class=on"), "positive_class"),
        (
            ("--config.data.label=price", "--config.data.target=regression",
             "--config.train.sampling=balanced"),
            "train.sampling balanced needs classes",
        ),
    ],
    ids=["auto", "costs", "weights", "metric", "positive", "sampling"],
)  # fmt: skip
def test_wrong_settings_are_one_line(tmp_path, arguments, message, capsys):
    write(tmp_path / "table.csv", rows(60))
    command = (
        "train",
        "--config=configs/digits_cnn.py",
        "--config.model.kind=mlp",
        "--config.data.kind=csv",
        f"--config.data.path={tmp_path / 'table.csv'}",
        f"--workdir={tmp_path / 'run'}",
        "--config.train.global_batch_size=8",
        *arguments,
    )
    assert run(command) == 2
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith("error")]
    assert message in line
    assert not (tmp_path / "run").exists()


def test_a_killed_run_with_balanced_sampling_ends_like_an_undisturbed_one(
    tmp_path, start, progress, state_digest
):
    write(tmp_path / "table.csv", rows())

    def command(name):
        return (
            "train",
            "--config=configs/digits_cnn.py",
            "--config.model.kind=mlp",
            "--config.data.kind=csv",
            f"--config.data.path={tmp_path / 'table.csv'}",
            "--config.data.label=fraud",
            "--config.train.sampling=balanced",
            "--config.evaluate.threshold=f1",
            "--config.train.steps=600",
            "--config.train.checkpoint_every=20",
            "--config.train.evaluate_every=100",
            "--config.train.report_every=50",
            "--config.train.global_batch_size=32",
            f"--workdir={tmp_path / name}",
        )

    subprocess.run(
        [sys.executable, "-m", "trainer", *command("alone")],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    killed = start(*command("run"))
    progress.wait_for_step(tmp_path / "run", 100, killed)
    killed.kill()
    killed.wait()
    again = start(*command("run"))
    _, errors = again.communicate()
    assert again.returncode == 0, errors
    assert state_digest(tmp_path / "run") == state_digest(tmp_path / "alone")
    assert progress.records(tmp_path / "run") == progress.records(tmp_path / "alone")
    texts = [(tmp_path / name / "signature.json").read_text() for name in ("run", "alone")]
    assert texts[0] == texts[1]

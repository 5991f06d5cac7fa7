"""`trainer evaluate` of supervised runs; tests/rl has that of agents."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from trainer.cli.main import run

METRICS = {
    "classification": ("accuracy", "auc", "auc_pr", "calibration_error", "f1", "loss"),
    "regression": ("loss", "mae", "r2", "rmse"),
}


def train(workdir, *settings):
    flags = [f"--config.{setting}" for setting in settings]
    assert run(["train", "--config=configs/digits_cnn.py", f"--workdir={workdir}", *flags]) == 0
    return workdir


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A folder with a run on train.csv, whose test split is test.csv."""
    folder = tmp_path_factory.mktemp("tables")
    random = np.random.default_rng(0)
    for name, count in (("train", 90), ("test", 30), ("other", 40)):
        rows = random.normal(size=(count, 2))
        lines = [f"{a},{b},{'yes' if a + random.normal() > b else 'no'}" for a, b in rows]
        (folder / f"{name}.csv").write_text("\n".join(["a,b,label", *lines]) + "\n")
    train(
        folder / "run",
        "data.kind=csv",
        f"data.path={folder / 'train.csv'}",
        f"data.test_path={folder / 'test.csv'}",
        "model.kind=linear",
        "train.steps=20",
        "train.global_batch_size=32",
    )
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder with a run on two classes of images."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for name, shade in (("cat", 0), ("dog", 60)):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(20):
            pixels = (shade + random.integers(0, 150, (6, 6, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{number}.png")
    train(
        folder / "run",
        "data.kind=image_folder",
        f"data.path={folder / 'images'}",
        "model.kind=linear",
        "train.steps=5",
        "train.global_batch_size=8",
    )
    return folder


@pytest.fixture
def evaluate(capfd):
    """Runs `trainer evaluate`; returns the printed object, or the error."""

    def function(folder, *arguments):
        capfd.readouterr()
        status = run(["evaluate", f"--workdir={folder / 'run'}", *arguments])
        printed = capfd.readouterr()
        if status:
            assert status == 2
            (error,) = (line for line in printed.err.splitlines() if line.startswith("error: "))
            return error
        return json.loads(printed.out)

    return function


def test_all_metrics_of_the_target_have_intervals(tables, evaluate):
    found = evaluate(tables)
    result = json.loads((tables / "run" / "result.json").read_text())
    assert (found["split"], found["step"]) == ("test", 20)
    for name, value in result["metrics"].items():
        assert found["metrics"][name.removeprefix("test/")] == value
    assert set(METRICS["classification"]) <= set(found["ci95"])
    assert "top_5" not in found["metrics"]
    matrix = np.array(found["metrics"]["confusion_matrix"])
    assert matrix.sum() == 30
    for name, (low, high) in found["ci95"].items():
        assert low <= found["metrics"][name] <= high or name == "calibration_error"
        assert low < high
    assert evaluate(tables) == found


@pytest.mark.parametrize("split", ["train", "validation"])
def test_other_splits(split, tables, evaluate):
    assert evaluate(tables, f"--split={split}")["split"] == split


def test_replicas_evaluate_alike(tables, evaluate):
    found, other = evaluate(tables), evaluate(tables, "--virtual_devices=2")
    for name, value in found["metrics"].items():
        np.testing.assert_allclose(other["metrics"][name], value, rtol=1e-5)
    for name, interval in found["ci95"].items():
        np.testing.assert_allclose(other["ci95"][name], interval, rtol=1e-5)


def test_all_examples_of_other_data(tables, evaluate):
    found = evaluate(tables, f"--data.path={tables / 'other.csv'}")
    assert found["split"] == "all"
    assert np.sum(found["metrics"]["confusion_matrix"]) == 40
    # The table of the run's test split, as other data, is that split.
    same = evaluate(tables, f"--data.path={tables / 'test.csv'}")
    assert same["metrics"] == evaluate(tables)["metrics"]
    part = evaluate(tables, f"--data.path={tables / 'other.csv'}", "--split=train")
    assert 0 < np.sum(part["metrics"]["confusion_matrix"]) < 40


def test_all_splits_of_other_images(images, evaluate, tmp_path):
    for split in ("train", "test"):
        shutil.copytree(images / "images", tmp_path / split)
    found = evaluate(images, f"--data.path={tmp_path}")
    once = evaluate(images, f"--data.path={images / 'images'}")
    np.testing.assert_array_equal(
        found["metrics"]["confusion_matrix"], 2 * np.array(once["metrics"]["confusion_matrix"])
    )
    assert found["metrics"]["accuracy"] == once["metrics"]["accuracy"]


def test_data_that_the_run_cannot_use(tables, images, evaluate, tmp_path):
    (tmp_path / "new.csv").write_text("a,b,label\n1,2,yes\n3,4,perhaps\n")
    assert "no class 'perhaps'" in evaluate(tables, f"--data.path={tmp_path / 'new.csv'}")
    (tmp_path / "lacking.csv").write_text("a,label\n1,yes\n3,no\n")
    assert "the columns a, but" in evaluate(tables, f"--data.path={tmp_path / 'lacking.csv'}")
    assert "Did you mean 'data.path'?" in evaluate(tables, "--data.pth=x")
    assert "--data.FIELD=value is needed" in evaluate(tables, "--data.path")
    for name in ("cat", "dog"):
        (tmp_path / "large" / name).mkdir(parents=True)
        Image.new("RGB", (7, 7)).save(tmp_path / "large" / name / "a.png")
    assert "shape (7, 7, 3)" in evaluate(images, f"--data.path={tmp_path / 'large'}")


def test_unknown_splits(tables, evaluate):
    assert "Received: 'all'" in evaluate(tables, "--split=all")
    assert "Did you mean 'test'?" in evaluate(tables, "--split=tset")


def test_flags_of_agents_are_refused(tables, evaluate):
    assert "--episodes is for agents" in evaluate(tables, "--episodes=3")
    assert "--render is for agents" in evaluate(tables, "--render")


def test_a_regression(tmp_path, evaluate):
    random = np.random.default_rng(0)
    rows = random.normal(size=(80, 2))
    lines = [f"{a},{b},{a + 2 * b + random.normal()}" for a, b in rows]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,label", *lines]) + "\n")
    train(
        tmp_path / "run",
        "data.kind=csv",
        f"data.path={tmp_path / 't.csv'}",
        "data.target=regression",
        "train.label_smoothing=0.0",
        "model.kind=linear",
        "train.steps=20",
        "train.global_batch_size=32",
    )
    assert tuple(sorted(evaluate(tmp_path)["ci95"])) == METRICS["regression"]


def test_a_terminal_shows_a_table(tables, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert run(["evaluate", f"--workdir={tables / 'run'}"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["split"] == "test"
    assert re.search(r"accuracy +[\d.]+ +[\d.]+ – [\d.]+\n", printed.err)
    assert "predicted class (column)" in printed.err

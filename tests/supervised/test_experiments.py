"""Several seeds of one supervised experiment."""

import json

import numpy as np
import pytest
from scipy import stats

from trainer.cli.main import run
from trainer.io.records import read_records

SMALL = (
    "--config=configs/digits_cnn.py",
    "--config.model.kind=mlp",
    "--config.model.units=16",
    "--config.train.steps=30",
    "--config.evaluate.metrics=accuracy,confusion_matrix,f1_per_class",
    "--config.seed=3",
    # tests/engine/test_parallel_seeds.py has runs side by side.
    "--parallel_seeds=1",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "digits"
    assert run(["train", *SMALL, "--config.seeds=2", f"--workdir={workdir}"]) == 0
    return workdir


def read(workdir):
    return json.loads((workdir / "result.json").read_text())


def test_each_seed_is_a_run_of_its_own(trained, tmp_path, state_digest):
    alone = tmp_path / "alone"
    assert run(["train", *SMALL, "--config.seed=4", f"--workdir={alone}"]) == 0
    assert read(alone)["metrics"] == read(trained / "seed_4")["metrics"]
    assert state_digest(alone) == state_digest(trained / "seed_4")
    assert read(trained / "seed_3")["metrics"] != read(trained / "seed_4")["metrics"]


def test_the_result_is_across_seeds(trained):
    result = read(trained)
    each = [read(trained / f"seed_{seed}")["metrics"] for seed in (3, 4)]
    scores = [metrics["test/accuracy"] for metrics in each]
    metrics = result["metrics"]
    np.testing.assert_allclose(metrics["test/accuracy"], np.mean(scores))
    interval = stats.t.interval(0.95, 1, np.mean(scores), stats.sem(scores))
    np.testing.assert_allclose(metrics["test/accuracy_ci95"], interval)
    assert metrics["test/accuracy_of_each_seed"] == scores
    assert result["seeds"] == {"3": each[0], "4": each[1]}
    matrix = np.array(each[0]["test/confusion_matrix"])
    assert matrix.shape == (10, 10)
    np.testing.assert_allclose(np.trace(matrix) / matrix.sum(), scores[0])
    assert len(each[0]["test/f1_per_class"]) == 10
    (record,) = read_records(str(trained / "metrics.jsonl"))
    assert record.metrics["accuracy_of_each_seed"] == scores


def test_evaluate_repeats_the_result(trained, capsys):
    assert run(["evaluate", f"--workdir={trained}"]) == 0
    printed = json.loads(capsys.readouterr().out)
    found = {f"test/{name}": value for name, value in printed["metrics"].items()}
    expected = read(trained)["metrics"]
    # All metrics of the target are evaluated.
    assert {name: found.get(name) for name in expected} == expected
    assert {"test/auc", "test/auc_ci95"} <= set(found) - set(expected)
    assert "ci95" not in printed


def test_one_more_seed_trains_only_that_one(trained, capsys):
    before = (trained / "seed_3" / "result.json").stat().st_mtime_ns
    arguments = ["train", *SMALL, "--config.seeds=3", f"--workdir={trained}"]
    assert run(arguments) == 0
    assert read(trained)["metrics"]["test/seeds"] == 3
    assert (trained / "seed_3" / "result.json").stat().st_mtime_ns == before
    capsys.readouterr()
    assert run(arguments) == 0
    assert "this run is finished" in capsys.readouterr().err


def test_one_run_and_several_seeds_do_not_share_a_directory(trained, capsys):
    arguments = [
        "train",
        *SMALL,
        "--config.seeds=2",
        f"--workdir={trained / 'seed_3'}",
    ]
    assert run(arguments) == 2
    assert "seeds can be raised only from two or more" in capsys.readouterr().err


def test_prediction_needs_one_run(trained, capsys):
    assert run(["predict", f"--workdir={trained}", "docs/images/digit_3.png"]) == 2
    assert f"use one of {trained}/seed_3, " in capsys.readouterr().err


def test_wrong_input_leaves_nothing(tmp_path, capsys):
    arguments = [
        "train",
        *SMALL,
        "--config.seeds=2",
        "--config.train.global_batch_size=99999",
    ]
    assert run([*arguments, f"--workdir={tmp_path / 'run'}"]) == 2
    assert "error: train.global_batch_size" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

"""With `evaluate.split=validation` nothing looks at the test split, nor owes it a figure."""

import json

import pytest

from trainer.cli.main import run
from trainer.data.examples import Dataset
from trainer.supervised import training

ARGUMENTS = (
    "train",
    "--config=configs/digits_cnn.py",
    "--config.model.kind=linear",
    "--config.train.steps=10",
)


class Forbidden:
    """A split that must not be accessed."""

    def __getattr__(self, name):
        raise AssertionError(f"accessed {name} of the test split")

    def __len__(self):
        raise AssertionError("accessed the size of the test split")


@pytest.fixture
def guarded(monkeypatch, request):
    """Every data set comes with a test split that may not be looked at."""
    load = training.load

    def guarded(data, data_dir, columns):
        dataset = load(data, data_dir, columns)
        return Dataset({**dataset.splits, "test": Forbidden()}, dataset.signature)

    monkeypatch.setattr(training, "load", guarded)
    monkeypatch.chdir(request.config.rootpath)


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_a_run_that_evaluates_on_validation_never_looks_at_the_test_split(checkpoint, tmp_path):
    workdir = tmp_path / "run"
    choice = f"--config.evaluate.checkpoint={checkpoint}"
    run([*ARGUMENTS, choice, "--config.evaluate.split=validation", f"--workdir={workdir}"])
    result = json.loads((workdir / "result.json").read_text())
    assert sorted(result["metrics"]) == ["eval/accuracy", "eval/loss"]
    assert '"test"' not in (workdir / "metrics.jsonl").read_text()


@pytest.mark.usefixtures("guarded")
def test_the_guard_sees_a_run_that_does(tmp_path):
    with pytest.raises(AssertionError, match="accessed the size"):
        run([*ARGUMENTS, f"--workdir={tmp_path / 'run'}"])


def test_without_a_validation_split_it_is_refused(monkeypatch, request, tmp_path, capsys):
    monkeypatch.chdir(request.config.rootpath)
    arguments = (*ARGUMENTS, "--config.evaluate.split=validation")
    status = run([*arguments, "--config.data.validation_fraction=0", f"--workdir={tmp_path / 'r'}"])
    assert status == 2
    assert "hold one out with data.validation_fraction" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()

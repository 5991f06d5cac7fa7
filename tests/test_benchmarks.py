"""The settings of the benchmarks are valid experiments, and our side of them runs."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trainer.config import Digits, ReinforcementLearning, Supervised
from trainer.data.loading import load

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def in_path(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def test_settings_are_experiments():
    settings = runpy.run_path(str(FOLDER / "settings.py"))["SETTINGS"]
    for setting in settings.values():
        assert isinstance(setting.config(1000), ReinforcementLearning)
    episodes = runpy.run_path(str(FOLDER / "episodes.py"))
    assert isinstance(episodes["config"](seed=0), ReinforcementLearning)


def test_our_side_advances():
    command = [sys.executable, str(FOLDER / "ours.py"), "tutorial"]
    done = subprocess.run(command, input="64\n", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["seconds"] > 0


def test_arrays_for_pytorch_are_those_of_the_run(tmp_path):
    accuracy = runpy.run_path(str(FOLDER / "accuracy.py"))
    config = Supervised(data=Digits(normalize="standard"))
    accuracy["write_arrays"](config, "", tmp_path / "arrays.npz")
    arrays = np.load(tmp_path / "arrays.npz")
    dataset = load(config.data, "")
    for name, split in dataset.splits.items():
        np.testing.assert_array_equal(arrays[f"{name}_images"], split.features)
        np.testing.assert_array_equal(arrays[f"{name}_labels"], split.targets)
    images = (arrays["train_images"] - arrays["offset"]) * arrays["scale"]
    assert abs(images.mean()) < 1e-3
    assert abs(images.std() - 1) < 1e-3

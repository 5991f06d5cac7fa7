"""The settings of the benchmarks are valid experiments, and our side of them runs."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.config import ReinforcementLearning

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def in_path(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def test_settings_are_experiments():
    settings = runpy.run_path(str(FOLDER / "agent_settings.py"))["SETTINGS"]
    for setting in settings.values():
        assert isinstance(setting.config(1000), ReinforcementLearning)
    episodes = runpy.run_path(str(FOLDER / "episodes.py"))
    assert isinstance(episodes["config"](seed=0), ReinforcementLearning)


def test_our_side_advances():
    command = [sys.executable, str(FOLDER / "ours.py"), "tutorial"]
    done = subprocess.run(command, input="64\n", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["seconds"] > 0

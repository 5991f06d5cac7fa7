"""Whole searches as processes of their own, and what they leave behind."""

import json
import time

import psutil
import pytest

SMALL = (
    "--config=configs/digits_cnn.py",
    "--config.model.kind=mlp",
    "--config.model.units=16",
    "--config.train.steps=400",
    "--config.train.report_every=20",
    "--config.train.evaluate_every=40",
    "--config.train.checkpoint_every=20",
)
HEADER = """
from trainer.tune.space import *


def get_search() -> Search:
    return Search(Objective("eval/loss", "min"), {})
"""


@pytest.fixture
def command(tmp_path):
    """A function: the arguments of a search in `tmp_path`, given what it searches."""

    def command(name, search, *flags):
        file = tmp_path / f"{name}.py"
        file.write_text(HEADER.format(search))
        return ("tune", *SMALL, f"--search={file}", f"--workdir={tmp_path / name}", *flags)

    return command


class Search:
    """What can be seen of a search from outside."""

    @staticmethod
    def finish(process, seconds=300):
        """The error output of a process that ends as it should."""
        output, errors = process.communicate(timeout=seconds)
        assert process.returncode == 0, output + errors
        return errors

    @staticmethod
    def wait_until(condition, process, seconds=120):
        """Returns once a condition holds, while a process runs."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and process.poll() is None:
            if condition():
                return
            time.sleep(0.02)
        raise AssertionError(f"it never was: {process.communicate()}")

    @staticmethod
    def has_trained(layout, trial_id):
        return any(layout.workdir(trial_id, 0).glob("checkpoints/*/manifest.json"))

    @staticmethod
    def trials(layout):
        if not layout.state.exists():
            return {}
        return {trial["id"]: trial for trial in json.loads(layout.state.read_text())["trials"]}

    @staticmethod
    def training(process):
        """The one training process that a search has started, or None."""
        children = psutil.Process(process.pid).children()
        assert len(children) < 2
        return children[0] if children else None


@pytest.fixture
def seen():
    return Search

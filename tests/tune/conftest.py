"""Complete searches in separate processes, and the files that they write."""

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
    """A function: the arguments of a search in `tmp_path`, given the space and the options."""

    def command(name, search, *flags):
        file = tmp_path / f"{name}.py"
        file.write_text(HEADER.format(search))
        return ("tune", *SMALL, f"--search={file}", f"--workdir={tmp_path / name}", *flags)

    return command


class Search:
    """Observes a search from outside."""

    @staticmethod
    def finish(process, seconds=300):
        """Waits for a process that must succeed, and returns its stderr."""
        output, errors = process.communicate(timeout=seconds)
        assert process.returncode == 0, output + errors
        return errors

    @staticmethod
    def wait_until(condition, process, seconds=120):
        """Waits until a condition holds while a process is running."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and process.poll() is None:
            if condition():
                return
            time.sleep(0.02)
        raise AssertionError(f"the condition was never true: {process.communicate()}")

    @staticmethod
    def has_trained(layout, trial_id):
        return any(layout.workdir(trial_id, 0).glob("checkpoints/*/manifest.json"))

    @staticmethod
    def trials(layout):
        if not layout.state.exists():
            return {}
        return {trial["id"]: trial for trial in json.loads(layout.state.read_text())["trials"]}

    @staticmethod
    def worker(trial):
        """The worker of a trial without its token."""
        return trial["worker"].partition("@")[0]

    @staticmethod
    def training(process):
        """The single training process of a search, or None."""
        children = psutil.Process(process.pid).children()
        assert len(children) < 2
        return children[0] if children else None


@pytest.fixture
def seen():
    return Search

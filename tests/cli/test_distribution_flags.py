"""When a command prepares its process for a TPU, seen from outside; there is no TPU here."""

import subprocess
import sys

import pytest

# Runs a command; prints whether a TPU is required and whether TensorFlow is there already.
COMMAND = """
import sys
from trainer.compat import tpu
from trainer.errors import UserError

def prepare(is_required):
    raise UserError(f"required: {is_required}, late: {'tensorflow' in sys.modules}")

tpu.prepare = prepare
from trainer.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
CONFIG = "--config=configs/digits_cnn.py"


def prepared(*arguments):
    """What the command has prepared; empty if it has not."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments], capture_output=True, text=True, timeout=120
    )
    lines = [line for line in done.stderr.splitlines() if "required: " in line]
    return lines[0].removeprefix("error: ") if lines else ""


@pytest.mark.parametrize(
    "arguments",
    [("train", CONFIG), ("train", "--config=gs://b/c.py"), ("evaluate",), ("predict", "a.png")],
    ids=" ".join,
)
def test_the_process_is_prepared_before_tensorflow_is_imported(arguments, tmp_path):
    command, *rest = arguments
    rest += [f"--workdir={tmp_path / 'run'}"]
    assert prepared(command, *rest, "--strategy=tpu") == "required: True, late: False"
    assert prepared(command, *rest, "--tpu=local") == "required: True, late: False"
    assert prepared(command, *rest) == "required: False, late: False"


@pytest.mark.parametrize("strategy", ["cpu", "mirrored"])
def test_another_strategy_prepares_nothing(strategy, tmp_path):
    assert prepared("evaluate", f"--workdir={tmp_path}", f"--strategy={strategy}") == ""


def test_the_doctor_prepares_nothing():
    assert prepared("doctor", "--strategy=tpu") == ""


SEARCH = """
from trainer.tune.space import *

def get_search():
    learning_rate = LogUniform("optimizer.learning_rate", 1e-4, 1e-2)
    return Search(Objective("eval/loss", "min"), (learning_rate,))
"""


def test_a_search_leaves_it_to_its_trials(tmp_path):
    """The search itself starts; its trial is refused, because this machine has no TPU."""
    (tmp_path / "search.py").write_text(SEARCH)
    arguments = [CONFIG, f"--search={tmp_path / 'search.py'}", f"--workdir={tmp_path / 'run'}"]
    assert prepared("tune", *arguments, "--max_trials=1", "--strategy=tpu") == ""
    (log,) = (tmp_path / "run").rglob("seed_0.log")
    assert log.read_text().startswith("error: this machine has no TPU")

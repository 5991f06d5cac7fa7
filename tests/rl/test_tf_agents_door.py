"""TF-Agents without gym; and what happens without TF-Agents. Each in a process of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# `None` is Python's own way to say that a module cannot be imported.
WITHOUT_TF_AGENTS = """
import sys
sys.modules["tf_agents"] = None
from trainer.cli.main import run
sys.exit(run(sys.argv[1:]))
"""
WITHOUT_GYM = """
import sys
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("gym", "pygame"):
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Refuse())
from trainer.rl import tf_agents_door
assert "gym" not in sys.modules
assert issubclass(tf_agents_door.DdqnAgent, tf_agents_door.DqnAgent)
"""


def python(program, *arguments):
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_tf_agents_needs_no_gym():
    done = python(WITHOUT_GYM)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_tf_agents_an_agent_is_refused_in_one_line(tmp_path):
    workdir = tmp_path / "run"
    train = ("train", "--config=configs/cartpole_dqn.py", f"--workdir={workdir}")
    done = python(WITHOUT_TF_AGENTS, *train)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "pip install --no-deps -r requirements/default.txt" in done.stderr
    assert not workdir.exists()


def test_without_tf_agents_networks_train(tmp_path):
    train = ("train", "--config=configs/digits_cnn.py", f"--workdir={tmp_path / 'run'}")
    done = python(WITHOUT_TF_AGENTS, *train, "--config.train.epochs=1")
    assert done.returncode == 0, done.stderr

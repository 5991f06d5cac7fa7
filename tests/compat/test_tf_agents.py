"""TF-Agents without gym, and trainer without TF-Agents; each in a process of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# `None` marks a module that cannot be imported.
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
from trainer.compat import tf_agents
assert "gym" not in sys.modules
assert issubclass(tf_agents.QPolicy, tf_agents.TFPolicy)
"""


def python(program, *arguments):
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_tf_agents_needs_no_gym():
    done = python(WITHOUT_GYM)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_tf_agents_everything_but_export_works(tmp_path):
    workdir = f"--workdir={tmp_path / 'run'}"
    small = ("--config.train.steps=400", "--config.model.units=8", "--config.evaluate.episodes=2")
    done = python(WITHOUT_TF_AGENTS, "train", "--config=configs/cartpole_dqn.py", workdir, *small)
    assert done.returncode == 0, done.stderr
    done = python(WITHOUT_TF_AGENTS, "export", workdir, f"--output={tmp_path / 'policy'}")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "pip install --no-deps -r requirements/default.txt" in done.stderr
    assert not (tmp_path / "policy").exists()

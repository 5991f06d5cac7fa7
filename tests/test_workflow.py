"""The GitHub workflow: its schema, and that it covers every Python of setup.py."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

FILE = Path(__file__).parents[1] / ".github" / "workflows" / "ci.yml"
JOB = yaml.safe_load(FILE.read_text())["jobs"]["ci"]


def check(file):
    schema = ("--builtin-schema", "vendor.github-workflows")
    command = [sys.executable, "-m", "check_jsonschema", *schema, file]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_schema(tmp_path):
    done = check(FILE)
    assert done.returncode == 0, done.stdout + done.stderr
    invalid = tmp_path / "ci.yml"
    invalid.write_text(FILE.read_text().replace("runs-on", "runs_on"))
    assert check(invalid).returncode == 1


def test_it_runs_ci_on_every_supported_python():
    supported = SpecifierSet(metadata.metadata("trainer")["Requires-Python"])
    every = [f"3.{minor}" for minor in range(20)]
    assert JOB["strategy"]["matrix"]["python"] == [one for one in every if one in supported]
    assert JOB["steps"][-1] == {
        "run": ".ci/run",
        "env": {"PYTHON": "python${{ matrix.python }}"},
    }

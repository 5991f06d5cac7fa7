"""The examples of docs/guide/extending.md: each trains from a file outside the package."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from trainer.cli.main import run

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "guide" / "extending.md").read_text()
FILES = dict(re.findall(r"^`(\w+\.py)`\n\n```python\n(.*?)```", GUIDE, re.DOTALL | re.MULTILINE))
COMMANDS = {
    re.search(r"runs/(\w+)", block)[1]: shlex.split(block.replace("\\\n", " "))[1:]
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
}
SHORTER = {
    "supervised": ["--config.train.epochs=1"],
    "rl": [
        "--config.train.steps=256",
        "--config.agent.replay.min_size=128",
        "--config.agent.replay.capacity=1000",
        "--config.train.gradient_steps=1",
        "--config.evaluate.interim_episodes=2",
        "--config.evaluate.episodes=2",
        "--jit=off",
    ],
}
RL = ("my_environment", "my_agent")


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """The examples, beside a link to the configurations."""
    directory = tmp_path_factory.mktemp("extending")
    (directory / "configs").symlink_to(ROOT / "configs")
    for name, code in FILES.items():
        (directory / name).write_text(code)
    before = list(sys.path)
    yield directory
    sys.path[:] = before
    for name in FILES:
        sys.modules.pop(name.removesuffix(".py"), None)


def test_every_example_has_a_file_and_a_command():
    names = ["my_model", "my_metric", "my_data", "my_environment", "my_agent"]
    assert list(FILES) == [f"{name}.py" for name in names]
    assert list(COMMANDS) == names


@pytest.mark.parametrize("name", FILES)
def test_an_example_has_at_most_15_lines(name):
    assert len([line for line in FILES[name].splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize("name", COMMANDS)
def test_an_example_trains(name, directory, monkeypatch, capsys):
    monkeypatch.chdir(directory)
    length = SHORTER["rl" if name in RL else "supervised"]
    assert run([*COMMANDS[name], *length]) == 0, capsys.readouterr().err
    assert Path(sys.modules[name].__file__).parent == directory
    result = json.loads((directory / "runs" / name / "result.json").read_text())
    assert result["status"] == "finished"
    records = [
        json.loads(line)
        for line in (directory / "runs" / name / "metrics.jsonl").read_text().splitlines()
    ]
    trained = [record for record in records if record["split"] == "train"]
    assert trained
    assert trained[-1]["metrics"]["gradient_norm"] > 0
    if name == "my_metric":
        assert 0 < result["metrics"]["test/top3"] <= 1

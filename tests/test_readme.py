"""The commands of the README and of the guide work. CI runs `make demo` and `make test`."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.cli.main import COMMANDS, run
from trainer.compat.keras import tf

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
# tests/test_extending.py runs the commands of extending.md.
GUIDES = sorted(set((ROOT / "docs" / "guide").glob("*.md")) - {ROOT / "docs/guide/extending.md"})


def commands(text=README):
    """Every `trainer …` line of the shell blocks; `…` stands for what a user has."""
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("trainer ") and "…" not in line:
                yield line


def example(image, label):
    feature = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    features = tf.train.Features(feature=feature)
    return tf.train.Example(features=features).SerializeToString(deterministic=True)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A directory with the project's configurations and pictures, and a user's own data."""
    directory = tmp_path_factory.mktemp("readme")
    for name in ("configs", "docs"):
        (directory / name).symlink_to(ROOT / name)
    (directory / "SHARDS").mkdir()
    random = np.random.default_rng(0)
    shards = tf.io.TFRecordWriter(str(directory / "SHARDS" / "train-0"))
    for shade, name in ((0, "night"), (150, "day")):
        (directory / "DIR" / name).mkdir(parents=True)
        for number in range(100):
            pixels = (shade + random.integers(0, 100, (40, 30, 3))).astype(np.uint8)
            path = directory / "DIR" / name / f"{number}.jpg"
            Image.fromarray(pixels).save(path)
            shards.write(example(path.read_bytes(), int(shade > 0)))
    shards.close()
    rows = random.normal(size=(400, 3))
    lines = [f"{a},{b},{c},{int(a + b > c)}" for a, b, c in rows]
    images = sorted((directory / "DIR").rglob("*.jpg"))
    cells = [f"{path.relative_to(directory / 'DIR')},{n / 50}" for n, path in enumerate(images)]
    (directory / "DIR" / "labels.csv").write_text("\n".join(["file,label", *cells]) + "\n")
    (directory / "table.csv").write_text("\n".join(["a,b,c,fraud", *lines]) + "\n")
    return directory


SHORTER = {
    "digits_cnn.py": "--config.train.epochs=3",
    "tune/digits.py": "--max_trials=1",
    "cartpole_dqn.py": "--config.train.steps=2000",
    "catch_dqn.py": "--config.train.steps=300",
    "gymnasium_dqn.py": "--config.train.steps=2000",
    "cartpole_ppo.py": "--config.train.steps=2560",
}


@pytest.mark.parametrize(
    "length", ["short", pytest.param("whole", marks=pytest.mark.slow)], scope="module"
)
@pytest.mark.parametrize("line", list(commands()))
def test_a_command_of_the_readme(length, line, here, monkeypatch, capsys):
    execute(line, length, here, monkeypatch, capsys)


# Commands of the guide that add to those of the README; the others run with the slow tests.
QUICK = (
    "doctor", "submit", "--config.augment=", "--config.evaluate.metrics=", "runs/pretrained",
    "ema_decay", "micro_batches", "runs/digit_seeds",
)  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, marks=() if any(part in line for part in QUICK) else pytest.mark.slow)
        for guide in GUIDES
        for line in commands(guide.read_text())
    ],
)
def test_a_command_of_the_guide(line, here, monkeypatch, capsys):
    execute(line, "short", here, monkeypatch, capsys)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_the_guide_names_fields_that_exist(guide, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    for line in commands(guide.read_text()):
        if "--config=configs/" in line:
            assert run([*shlex.split(line)[1:], "--help"]) == 0, capsys.readouterr().err


def execute(line, length, here, monkeypatch, capsys):
    """Runs a command in the directory of its length, where earlier commands left their results."""
    if "ALE/" in line:
        pytest.importorskip("ale_py")
    (here / length).mkdir(exist_ok=True)
    for name in ("configs", "docs", "DIR", "SHARDS", "table.csv"):
        if not (here / length / name).exists():
            (here / length / name).symlink_to(here / name)
    monkeypatch.chdir(here / length)
    arguments = shlex.split(line, comments=True)[1:]
    if length == "short" and "--help" not in arguments:
        arguments += [text for name, text in SHORTER.items() if f"configs/{name}" in line]
    assert run(arguments) == 0, capsys.readouterr().err


def test_the_readme_shows_every_command_of_ours():
    for name in COMMANDS:
        assert any(line.startswith(f"trainer {name} ") for line in commands()), name


def test_every_configuration_is_in_the_table():
    for path in (ROOT / "configs").glob("*.py"):
        assert f"`{path.name}`" in README


@pytest.mark.parametrize(
    "path",
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs" / "guide").glob("*.md"),
        *(ROOT / "docs" / "decisions").glob("*.md"),
    ],
    ids=lambda path: path.name,
)
def test_every_file_that_a_document_names_exists(path):
    text = path.read_text()
    for name in re.findall(r"`((?:configs|docs|trainer|tests)/[\w/.]*)`", text):
        # In a path, KIND and the like are placeholders.
        assert (ROOT / name).exists() or re.search("[A-Z]{2}", name), name
    for link in re.findall(r"""(?:\]\(|src=")([\w./]+)[)#"]""", text):
        assert (path.parent / link).exists(), link

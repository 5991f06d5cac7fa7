"""Small trained runs of each kind, which are exported in the tests of this folder."""

import csv

import numpy as np
import pytest
from PIL import Image

from trainer.cli.main import run

COLORS = {"blue": (30, 60, 200), "green": (40, 180, 60), "red": (210, 40, 40)}
BASE = (
    "--config=configs/digits_cnn.py",
    "--config.train.global_batch_size=16",
    "--config.optimizer.learning_rate=0.01",
    "--config.train.label_smoothing=0",
)


@pytest.fixture(scope="module", autouse=True)
def root(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(request.config.rootpath)
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder of JPEG and PNG of different sizes, some of them rotated by EXIF."""
    path = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for name, color in COLORS.items():
        (path / name).mkdir()
        for number in range(20):
            height, width = random.integers(12, 40, 2)
            pixels = np.clip(random.normal(color, 40, (height, width, 3)), 0, 255).astype(np.uint8)
            exif = Image.Exif()
            exif[0x0112] = 1 + number % 8
            ending = "png" if number % 4 == 0 else "jpg"
            options = {} if ending == "png" else {"exif": exif}
            Image.fromarray(pixels).save(path / name / f"{number:02}.{ending}", **options)
    return path


@pytest.fixture(scope="session")
def images(folder, tmp_path_factory):
    """The work directory of a network for color images."""
    workdir = tmp_path_factory.mktemp("runs") / "images"
    command = (
        "train",
        *BASE,
        "--config.data.kind=image_folder",
        f"--config.data.path={folder}",
        "--config.data.image_size=16,16",
        "--config.model.filters=4,8",
        "--config.train.epochs=8",
        f"--workdir={workdir}",
    )
    assert run(command) == 0
    return workdir


def rows(count=300):
    random = np.random.default_rng(0)
    for _ in range(count):
        x, y = random.normal(size=2)
        color = ("red", "green", "blue")[random.integers(3)]
        shift = {"red": 0.0, "green": 1.0, "blue": -1.0}[color]
        yield {
            "class": f"{x:.4f}",
            "y 2": "" if random.uniform() < 0.1 else f"{y:.4f}",
            "color": color if random.uniform() > 0.1 else "NA",
            "day": f"20{random.integers(10, 30)}-{random.integers(1, 13):02}-11",
            "is new": ("yes", "no")[random.integers(2)],
            "price": f"{100 + 20 * (2 * x + shift):.3f}",
            "fraud": "yes" if x + shift > 1.6 else "no",
        }


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(next(rows())))
        writer.writeheader()
        writer.writerows(rows())
    return path


def trained_on_table(table, workdir, *arguments):
    command = (
        "train",
        *BASE,
        "--config.data.kind=csv",
        f"--config.data.path={table}",
        "--config.model.kind=mlp",
        "--config.model.units=16",
        "--config.train.epochs=8",
        f"--workdir={workdir}",
        *arguments,
    )
    assert run(command) == 0
    return workdir


@pytest.fixture(scope="session")
def fraud(table, tmp_path_factory):
    """The work directory of a network for an imbalanced class, with a threshold."""
    return trained_on_table(
        table,
        tmp_path_factory.mktemp("runs") / "fraud",
        "--config.data.label=fraud",
        "--config.data.ignore=price",
        "--config.data.positive_class=yes",
        "--config.evaluate.threshold=f1",
    )


@pytest.fixture(scope="session")
def price(table, tmp_path_factory):
    """The work directory of a regression, with an embedded column."""
    return trained_on_table(
        table,
        tmp_path_factory.mktemp("runs") / "price",
        "--config.data.label=price",
        "--config.data.target=regression",
        "--config.data.ignore=fraud",
        "--config.data.categories=embedding",
    )


@pytest.fixture(scope="session")
def cartpole(tmp_path_factory):
    """The work directory of a DQN agent."""
    return trained_agent(tmp_path_factory, "cartpole_dqn", "--config.agent.replay.min_size=200")


@pytest.fixture(scope="session")
def pendulum(tmp_path_factory):
    """The work directory of a PPO agent with continuous actions."""
    return trained_agent(tmp_path_factory, "pendulum_ppo", "--config.train.collect_steps=20")


def trained_agent(tmp_path_factory, name, *arguments):
    workdir = tmp_path_factory.mktemp("runs") / name
    command = (
        "train",
        f"--config=configs/{name}.py",
        "--jit=off",
        "--config.seeds=1",
        "--config.model.units=16",
        "--config.environment.time_limit=40",
        "--config.train.steps=1000",
        "--config.evaluate.episodes=4",
        f"--workdir={workdir}",
        *arguments,
    )
    assert run(command) == 0
    return workdir

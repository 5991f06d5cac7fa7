"""Every supervised configuration trains, on a few images in place of its data."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.cli.main import run
from trainer.compat.keras import tf
from trainer.config import Supervised, loading

ROOT = Path(__file__).parent.parent
CONFIGS = {path.name: loading.load(str(path)) for path in sorted(ROOT.glob("configs/*.py"))}
SUPERVISED = {name: each for name, each in CONFIGS.items() if isinstance(each, Supervised)}
# Smaller networks of the same form.
SMALLER = {
    "cifar10_resnet20.py": {"model.depth": 8},
    "cifar10_wide_resnet.py": {"model.depth": 10, "model.width": 1},
    "fashion_mnist_resnet20.py": {"model.depth": 8},
    "image_folder_resnet18.py": {"model.width": 0.125, "data.image_size": "64,64"},
}
SLOW = ("cifar10_wide_resnet.py", "image_folder_resnet18.py")
GRAYSCALE = ("digits", "mnist", "idx")


# The columns of the tables, and their target.
TABLES = {
    "diabetes_regression.py": ("age,bmi,target", [f"{n},{n % 7},{n / 3}" for n in range(60)]),
    "shuttle_anomaly.py": ("f1,f2,anomaly", [f"{n},{n % 7},{n % 3 == 0:d}" for n in range(60)]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of two classes, 16 of each in both splits."""
    directory = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for shade, name in ((0, "dark"), (150, "bright")):
            (directory / split / name).mkdir(parents=True)
            for number in range(16):
                pixels = (shade + random.integers(0, 100, (32, 32, 3))).astype(np.uint8)
                Image.fromarray(pixels).save(directory / split / name / f"{number}.png")
    return directory


@pytest.fixture(scope="module")
def shards(folder):
    """The images of the folder as TFRecord shards, one for each split."""
    directory = folder.parent / "shards"
    directory.mkdir(exist_ok=True)
    for split in ("train", "test"):
        with tf.io.TFRecordWriter(str(directory / f"{split}-0")) as writer:
            for path in sorted((folder / split).glob("*/*.png")):
                image = tf.train.BytesList(value=[path.read_bytes()])
                label = tf.train.Int64List(value=[int(path.parent.name == "dark")])
                feature = {
                    "image": tf.train.Feature(bytes_list=image),
                    "label": tf.train.Feature(int64_list=label),
                }
                features = tf.train.Features(feature=feature)
                writer.write(tf.train.Example(features=features).SerializeToString())
    return directory


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in SUPERVISED],
)
def test_configuration_trains(name, folder, shards, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    config = SUPERVISED[name]
    if name in TABLES:
        header, rows = TABLES[name]
        (tmp_path / "table.csv").write_text("\n".join([header, *rows]) + "\n")
        _train(name, tmp_path, capsys, {"data.path": tmp_path / "table.csv", "seeds": 1})
        return
    if config.data.kind == "tfrecord":
        paths = {"data.path": shards / "train-*", "data.test_path": shards / "test-*"}
        _train(name, tmp_path, capsys, {**paths, "data.validation_fraction": 0})
        return
    grayscale = getattr(config.data, "name", config.data.kind) in GRAYSCALE
    overrides = {
        "data.kind": "image_folder",
        "data.path": folder,
        "data.image_size": "32,32",
        "data.channels": 1 if grayscale else 3,
        "data.validation_fraction": 0,
        "data.normalize": config.data.normalize,
        "train.batch_norm_group": 2 if config.train.batch_norm_group else 0,
        **SMALLER.get(name, {}),
    }
    _train(name, tmp_path, capsys, overrides)


def _train(name, tmp_path, capsys, overrides):
    overrides = {"train.steps": 2, "train.global_batch_size": 4, **overrides}
    arguments = [f"--config.{field}={value}" for field, value in overrides.items()]
    command = ["train", f"--config=configs/{name}", f"--workdir={tmp_path / 'run'}"]
    assert run([*command, *arguments]) == 0, capsys.readouterr().err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["step"] == 2
    assert np.isfinite(result["metrics"]["test/loss"])

import json

import numpy as np
import pytest
from PIL import Image

from trainer.cli.main import run
from trainer.compat.keras import keras
from trainer.config.data import CSV
from trainer.data.signature import Column, Signature
from trainer.errors import UserError
from trainer.supervised.predict import read_examples

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)


@pytest.fixture(autouse=True)
def float32():
    yield
    keras.mixed_precision.set_global_policy("float32")


def signature(kind="image", shape=(6, 5, 3), columns=()):
    width = shape[-1]
    return Signature(
        kind, shape, shape, ("a", "b"), columns, (1.5,) * width, (0.1 + 1e-17,) * width
    )


def test_prediction_reads_what_training_read(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    Image.fromarray(PIXELS[::-1]).resize((50, 60)).save(tmp_path / "b.png")
    paths = [str(tmp_path / name) for name in ("a.png", "b.png")]
    names, features = zip(*read_examples(paths, signature(), CSV()), strict=True)
    assert list(names) == paths
    assert np.stack(features).shape == (2, 6, 5, 3)
    np.testing.assert_array_equal(features[0], PIXELS)


def test_rows_of_a_table_are_named_by_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("y,label,x\n1,a,2\n3,b,4\n")
    of_table = signature("table", (2,), (Column("x"), Column("y")))
    examples = read_examples([str(path)], of_table, CSV())
    names, features = zip(*examples, strict=True)
    np.testing.assert_array_equal(features, [[2, 1], [4, 3]])
    assert list(names) == [f"{path}:2", f"{path}:3"]
    path.write_text("x,z\n1,2\n")
    with pytest.raises(UserError, match=r"unknown column.*Received: 'y'"):
        list(read_examples([str(path)], of_table, CSV()))


def test_prediction_computes_like_evaluation(tmp_path, monkeypatch, request, capsys):
    monkeypatch.chdir(request.config.rootpath)
    random = np.random.default_rng(0)
    lines = [
        ",".join(map(str, [*row, int(row[0] > row[1])])) for row in random.normal(size=(90, 4))
    ]
    for name, part in (("train", lines[:60]), ("test", lines[60:])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["a,b,c,d,label", *part]) + "\n")
    workdir = f"--workdir={tmp_path / 'run'}"
    table = f"--config.data.path={tmp_path / 'train.csv'}"
    test_table = f"--config.data.test_path={tmp_path / 'test.csv'}"
    arguments = ("--config.data.kind=csv", table, test_table, "--config.model.kind=mlp")
    arguments = (*arguments, "--config.train.steps=5", "--config.train.global_batch_size=32")
    assert run(["train", "--config=configs/digits_cnn.py", workdir, *arguments]) == 0

    def output(*arguments):
        capsys.readouterr()
        assert run([*arguments, workdir]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    labels = [line.rpartition(",")[2] for line in lines[60:]]
    losses = []
    for flag in (
        "--precision=float32",
        "--precision=mixed_bfloat16",
        "--precision=auto",
        "--virtual_devices=2",
    ):
        (evaluated,) = output("evaluate", flag)
        predicted = output("predict", flag, str(tmp_path / "test.csv"))
        shares = [p["probabilities"][label] for p, label in zip(predicted, labels, strict=True)]
        losses.append(evaluated["metrics"]["loss"])
        assert -np.mean(np.log(shares)) == pytest.approx(losses[-1], rel=1e-6)
    # A precision makes a difference that the comparison sees.
    assert losses[0] != pytest.approx(losses[1], rel=1e-5)


def test_one_process_predicts(tmp_path, monkeypatch, capsys):
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    assert run(["predict", f"--workdir={tmp_path}", "a.png"]) == 2
    assert "predict runs in one process" in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        list(read_examples([str(tmp_path / "none.png")], signature(), CSV()))
    with pytest.raises(UserError, match="cannot be read"):
        list(read_examples([str(tmp_path)], signature(), CSV()))


def test_prediction_averages_over_mirror_images(tmp_path, monkeypatch, request, capsys):
    monkeypatch.chdir(request.config.rootpath)
    image = Image.open("docs/images/digit_3.png")
    paths = [str(tmp_path / name) for name in ("a.png", "mirrored.png")]
    image.save(paths[0])
    Image.fromarray(np.asarray(image)[:, ::-1]).save(paths[1])
    same = {}
    for kind in ("none", "flip"):
        workdir = f"--workdir={tmp_path / kind}"
        settings = ("model.kind=linear", "train.steps=5", f"evaluate.test_time_augmentation={kind}")
        flags = [f"--config.{setting}" for setting in settings]
        assert run(["train", "--config=configs/digits_cnn.py", workdir, *flags]) == 0
        capsys.readouterr()
        assert run(["predict", workdir, *paths]) == 0
        lines = capsys.readouterr().out.splitlines()
        values = [list(json.loads(line)["probabilities"].values()) for line in lines]
        same[kind] = np.allclose(*values, rtol=1e-4)
    assert same == {"none": False, "flip": True}

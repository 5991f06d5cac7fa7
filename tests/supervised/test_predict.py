import csv
import json

import numpy as np
import pytest
from PIL import Image

from trainer.cli.main import run
from trainer.compat.keras import keras, tf
from trainer.config.data import CSV
from trainer.data.signature import Column, Signature
from trainer.errors import UserError
from trainer.supervised.predict import read_examples

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
DIGITS = [f"docs/images/digit_{number}.png" for number in (3, 5, 8)]


@pytest.fixture(autouse=True)
def float32():
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A run on images."""
    workdir = tmp_path_factory.mktemp("runs") / "digits"
    settings = ("model.kind=linear", "train.steps=5", "evaluate.batch_size=4")
    flags = [f"--config.{setting}" for setting in settings]
    assert run(["train", "--config=configs/digits_cnn.py", f"--workdir={workdir}", *flags]) == 0
    return workdir


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A run on the table train.csv beside it, with its test split in test.csv."""
    folder = tmp_path_factory.mktemp("tables")
    random = np.random.default_rng(0)
    lines = [
        ",".join(map(str, [*row, int(row[0] > row[1])])) for row in random.normal(size=(90, 4))
    ]
    for name, part in (("train", lines[:60]), ("test", lines[60:])):
        (folder / f"{name}.csv").write_text("\n".join(["a,b,c,d,label", *part]) + "\n")
    arguments = (
        "--config.data.kind=csv",
        f"--config.data.path={folder / 'train.csv'}",
        f"--config.data.test_path={folder / 'test.csv'}",
        "--config.model.kind=mlp",
        "--config.train.steps=5",
        "--config.train.global_batch_size=32",
        f"--workdir={folder / 'run'}",
    )
    assert run(["train", "--config=configs/digits_cnn.py", *arguments]) == 0
    return folder / "run"


@pytest.fixture
def predict(capfd):
    """Runs `trainer predict`; returns its status, the predictions, and its lines on stderr."""

    def function(workdir, *arguments):
        capfd.readouterr()
        status = run(["predict", f"--workdir={workdir}", *map(str, arguments)])
        printed = capfd.readouterr()
        errors = [line for line in printed.err.splitlines() if not line.startswith("strategy ")]
        return status, [json.loads(line) for line in printed.out.splitlines()], errors

    return function


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
    ((name, error),) = read_examples([str(path)], of_table, CSV())
    assert name == str(path)
    assert isinstance(error, UserError)
    assert "unknown column" in str(error)


def test_prediction_computes_like_evaluation(table, predict, capfd):
    lines = (table.parent / "test.csv").read_text().splitlines()[1:]
    labels = [line.rpartition(",")[2] for line in lines]
    losses = []
    for flag in (
        "--precision=float32",
        "--precision=mixed_bfloat16",
        "--precision=auto",
        "--virtual_devices=2",
    ):
        status, predicted, _ = predict(table, flag, table.parent / "test.csv")
        assert status == 0
        assert run(["evaluate", f"--workdir={table}", flag]) == 0
        losses.append(json.loads(capfd.readouterr().out)["metrics"]["loss"])
        shares = [p["probabilities"][label] for p, label in zip(predicted, labels, strict=True)]
        assert -np.mean(np.log(shares)) == pytest.approx(losses[-1], rel=1e-6)
    # A precision makes a difference that the comparison sees.
    assert losses[0] != pytest.approx(losses[1], rel=1e-5)


def test_files_folders_and_patterns_in_order_and_repeated(digits, predict, tmp_path):
    folder = tmp_path / "images"
    (folder / "below").mkdir(parents=True)
    for place, source in zip(("b.png", "a.png", "below/c.png"), DIGITS, strict=True):
        Image.open(source).save(folder / place)
    names = [str(folder / name) for name in ("a.png", "b.png", "below/c.png")]
    status, found, errors = predict(digits, folder, DIGITS[0], f"{folder}/**/*.png", DIGITS[0])
    assert (status, errors) == (0, [])
    assert [each["file"] for each in found] == [*names, DIGITS[0], *names, DIGITS[0]]
    # The batch has 4 images: in another one there is no other prediction.
    assert found[0]["probabilities"] == found[4]["probabilities"]
    assert found[1]["probabilities"] == found[3]["probabilities"] == found[7]["probabilities"]


def test_bad_images_are_named_and_the_others_predicted(digits, predict, tmp_path):
    (tmp_path / "empty.png").touch()
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    paths = [*DIGITS, "none.png", *DIGITS, f"{tmp_path}/*.gif"]
    status, found, errors = predict(digits, tmp_path / "empty.png", tmp_path / "huge.png", *paths)
    assert status == 2
    assert [each["file"] for each in found] == DIGITS * 2
    expected = ("empty.png", "huge.png has more than", "no such file: none.png", "*.gif")
    for line, part in zip(errors[:-1], expected, strict=True):
        assert line.startswith("error: ")
        assert part in line
    assert errors[-1] == "error: 4 of 10 inputs could not be predicted"


def test_bad_rows_are_named_and_the_others_predicted(table, predict, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b,c,d\n1,2,3,4\n1,x,3,y\n1,2\n5,6,7,8\n1,2,3,"4\n')
    status, found, errors = predict(table, path, tmp_path / "none.csv", path)
    assert status == 2
    assert [each["file"] for each in found] == [f"{path}:2", f"{path}:5"] * 2
    text = "\n".join(errors)
    assert text.count("line 3, column 'b' must be a finite number") == 2
    assert text.count(f"{path}:4 has 2 cells, not 4") == 2
    assert text.count("line 6 is not a row of CSV") == 2
    assert errors[-1] == "error: 7 of 11 inputs could not be predicted"


def test_all_tables_of_a_folder(table, predict, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    import gzip

    from pyarrow import parquet

    text = "a,b,c,d\n1,2,3,4\n"
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text.encode()))
    columns = {name: [number] for number, name in enumerate("abcd", 1)}
    parquet.write_table(pyarrow.table(columns), tmp_path / "c.parquet")
    (tmp_path / "notes.txt").write_text("mine")
    status, found, _ = predict(table, tmp_path)
    assert status == 0
    names = ("a.csv:2", "b.csv.gz:2", "c.parquet:row 1")
    assert [each["file"] for each in found] == [f"{tmp_path}/{name}" for name in names]
    assert found[0]["probabilities"] == found[1]["probabilities"] == found[2]["probabilities"]


def test_csv_has_a_row_per_prediction(digits, predict, tmp_path):
    output = tmp_path / "new" / "predictions.csv"
    assert predict(digits, *DIGITS, "--format=csv", f"--output={output}")[:2] == (0, [])
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    _, found, _ = predict(digits, *DIGITS)
    for row, each in zip(rows, found, strict=True):
        assert (row["file"], row["class"]) == (each["file"], each["class"])
        assert float(row["probability"]) == each["probability"]
        for name, value in each["probabilities"].items():
            assert float(row[f"probability_{name}"]) == value
    assert [path.name for path in output.parent.iterdir()] == ["predictions.csv"]


def test_output_to_a_remote_file(digits, predict):
    # Not an object store, but written by the same functions of TensorFlow.
    target = "ram://predictions/digits.jsonl"
    tf.io.gfile.makedirs("ram://predictions")
    assert predict(digits, *DIGITS, f"--output={target}")[0] == 0
    lines = tf.io.gfile.GFile(target).read().splitlines()
    assert [json.loads(line)["file"] for line in lines] == DIGITS


def test_a_run_that_cannot_be_loaded_leaves_no_output(tmp_path, predict):
    output = tmp_path / "p.jsonl"
    status, _, errors = predict(tmp_path / "none", DIGITS[0], f"--output={output}")
    assert status == 2
    assert len(errors) == 1
    assert not output.exists()


def test_one_process_predicts(tmp_path, monkeypatch, capsys):
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    assert run(["predict", f"--workdir={tmp_path}", "a.png"]) == 2
    assert "predict runs in one process" in capsys.readouterr().err


def test_prediction_averages_over_mirror_images(digits, predict, tmp_path):
    image = Image.open(DIGITS[0])
    paths = [str(tmp_path / name) for name in ("a.png", "mirrored.png")]
    image.save(paths[0])
    Image.fromarray(np.asarray(image)[:, ::-1]).save(paths[1])
    flipped = tmp_path / "flip"
    settings = ("model.kind=linear", "train.steps=5", "evaluate.test_time_augmentation=flip")
    flags = [f"--config.{setting}" for setting in settings]
    assert run(["train", "--config=configs/digits_cnn.py", f"--workdir={flipped}", *flags]) == 0
    same = {}
    for name, workdir in (("none", digits), ("flip", flipped)):
        _, found, _ = predict(workdir, *paths)
        values = [list(each["probabilities"].values()) for each in found]
        same[name] = np.allclose(*values, rtol=1e-4)
    assert same == {"none": False, "flip": True}

"""Exports of trained networks, each used in a process without this package."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from trainer.cli import export as cli
from trainer.cli.main import run
from trainer.export import formats, policy, standalone
from trainer.export.checking import Call, Checker

ROOT = Path(__file__).parents[2]
SOURCE = """
import numpy as np
from trainer.data.examples import InMemoryExamples, Source

def load(config, data_dir):
    random = np.random.default_rng(0)
    images = random.normal(size=(120, 6, 5, 2)).astype(np.float32)
    classes = (images.mean((1, 2, 3)) > 0).astype(np.int32)
    return Source({"train": InMemoryExamples(images, classes)}, ("low", "high"))
"""


def export(workdir, output, kind):
    assert run(["export", f"--workdir={workdir}", f"--output={output}", f"--format={kind}"]) == 0
    described = json.loads((output / "export.json").read_text())
    return described, str(output / described["file"])


def answer(kind, path, signature, inputs, *names):
    """Outputs of an export by name, in another process."""
    calls = [Call(signature, inputs, name, np.zeros(0)) for name in names]
    with Checker(kind) as checker:
        return checker.outputs(path, calls)


def predicted(capsys, workdir, *paths):
    capsys.readouterr()
    assert run(["predict", f"--workdir={workdir}", *map(str, paths)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_saved_model_takes_image_files(images, folder, tmp_path, capsys):
    described, path = export(images, tmp_path / "export", "saved_model")
    assert described["names"] == ["blue", "green", "red"]
    files = [folder / "red" / "04.png", *(folder / "blue" / f"{n:02}.jpg" for n in range(1, 4))]
    contents = np.array([file.read_bytes() for file in files], object)
    names, probabilities = answer(
        "saved_model", path, "serving_default", {"images": contents}, "class", "probability"
    )
    for line, name, probability in zip(
        predicted(capsys, images, *files), names, probabilities, strict=True
    ):
        assert line["class"] == name.decode()
        assert abs(line["probability"] - probability) < 1e-5
    card = (tmp_path / "export" / "model_card.md").read_text()
    result = json.loads((images / "result.json").read_text())
    accuracy = result["metrics"]["test/accuracy"]
    row = re.search(r"\| test/accuracy \| (\S+) \| (\S+) to (\S+) \|", card)
    assert float(row[1]) == round(accuracy, 4)
    assert float(row[2]) <= accuracy <= float(row[3])
    assert "It predicts 3 classes: blue, green, red." in card


@pytest.mark.parametrize("kind", ["keras", "tflite", "tflite_int8", "onnx"])
def test_other_formats_take_images(kind, images, tmp_path):
    described, path = export(images, tmp_path / "export", kind)
    assert described["format"] == kind
    assert described["arrays"] == {"name": "images", "dtype": "uint8", "shape": [None, 16, 16, 3]}
    colors = ((30, 60, 200), (40, 180, 60), (210, 40, 40))
    pictures = np.stack([np.full((16, 16, 3), color, np.uint8) for color in colors])
    (probabilities,) = answer(kind, path, "", {"images": pictures}, "")
    np.testing.assert_array_equal(probabilities.argmax(axis=1), [0, 1, 2])


def test_a_saved_model_takes_cells(fraud, table, tmp_path, capsys):
    described, path = export(fraud, tmp_path / "export", "saved_model")
    names = {each["column"]: each["input"] for each in described["columns"]}
    assert names["class"] == "column_class"
    assert names["is new"] == "is_new"
    (threshold,) = described["thresholds"]
    with table.open(newline="") as file:
        cells = list(csv.DictReader(file))[:40]
    inputs = {
        name: np.array([float(row[column] or "nan") for row in cells], np.float32)
        if column in ("class", "y 2")
        else np.array([row[column] for row in cells], object)
        for column, name in names.items()
    }
    classes, probabilities = answer(
        "saved_model", path, "serving_default", inputs, "class", "probabilities"
    )
    lines = predicted(capsys, fraud, table)[:40]
    for line, name, row in zip(lines, classes, probabilities, strict=True):
        assert line["class"] == name.decode()
        assert (name == b"yes") == (row[1] >= np.float32(threshold))
        np.testing.assert_allclose(row[1], line["probabilities"]["yes"], atol=1e-5)


@pytest.mark.parametrize("kind", ["saved_model", "keras", "tflite_int8"])
def test_a_regression_gives_values_in_their_unit(kind, price, tmp_path, capsys):
    described, path = export(price, tmp_path / "export", kind)
    rows_of_nothing = np.full((1, described["arrays"]["shape"][1]), np.nan, np.float32)
    inputs = {"rows": rows_of_nothing}
    name = "values" if kind == "saved_model" else ""
    (values,) = answer(kind, path, "arrays", inputs, name)
    empty = tmp_path / "empty.csv"
    empty.write_text("class,y 2,color,day,is new\n,NA,,,\n")
    (line,) = predicted(capsys, price, empty)
    assert 50 < line["value"] < 150
    assert abs(values[0, 0] - line["value"]) < (1 if kind == "tflite_int8" else 1e-2)


def test_a_damaged_export_is_found(images, tmp_path, capsys):
    output = tmp_path / "export"
    export(images, output, "tflite")
    check = ["export", f"--workdir={images}", f"--output={output}", "--check"]
    assert run(check) == 0
    assert "computes what the run computes" in capsys.readouterr().out
    model = output / "model.tflite"
    contents = model.read_bytes()
    model.write_bytes(contents[: len(contents) // 2])
    assert run(check) == 2
    assert "model.tflite is damaged; export again" in capsys.readouterr().err
    model.write_bytes(contents)
    described = json.loads((output / "export.json").read_text())
    described["names"].reverse()
    (output / "export.json").write_text(json.dumps(described))
    assert run(check) == 2
    assert "differs from the run in 'names'" in capsys.readouterr().err
    (output / "export.json").write_text("{")
    assert run(check) == 2
    assert "is not a complete export" in capsys.readouterr().err


def test_an_export_that_differs_is_not_written(images, tmp_path, capsys, monkeypatch):
    exact = Checker.outputs
    monkeypatch.setattr(Checker, "outputs", lambda *args: [o + 1e-3 for o in exact(*args)])
    command = ["export", f"--workdir={images}", f"--output={tmp_path / 'x'}", "--format=tflite"]
    assert run(command) == 2
    assert "does not compute what the trained model computes" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--output={out}", "--format=onxx"], "Did you mean 'onnx'?"),
        (["--output={run}"], "--output must be a new or empty directory"),
        (["--output={out}", "--check"], "nothing to check"),
        ([], "--output=DIR is required"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_wrong_flags_are_refused_in_one_line(arguments, expected, images, tmp_path, capsys):
    filled = [each.format(out=tmp_path / "out", run=images) for each in arguments]
    assert run(["export", f"--workdir={images}", *filled]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_images_of_floats_are_exported_as_arrays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "waves.py").write_text(SOURCE)
    config = ROOT / "configs" / "digits_cnn.py"
    command = (
        *("train", f"--config={config}", "--workdir=run", "--config.model.kind=linear"),
        *("--config.data.kind=custom", "--config.data.source=waves:load"),
        *("--config.train.steps=5", "--config.train.global_batch_size=16"),
    )
    assert run(command) == 0
    for kind in ("saved_model", "tflite"):
        described, _ = export("run", tmp_path / kind, kind)
        assert described["arrays"]["dtype"] == "float32"


def test_the_lists_of_formats_agree():
    assert (*formats.FORMATS, *policy.FORMATS[:1]) == (*cli._OF_NETWORKS, cli._OF_AGENTS[0])
    assert policy.FORMATS == cli._OF_AGENTS
    assert set(standalone.FORMATS) == {*formats.FORMATS, *policy.FORMATS} == set(cli._HOW_TO_LOAD)

"""Exports in environments that hold only TensorFlow, or only LiteRT, and as a server loads them."""

import base64
import csv
import json
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.cli.main import run

# Loads a SavedModel as TensorFlow Serving does: by the names of the tensors of a signature, in a
# session. Python's functions of the loaded object are not used.
SERVER = """
import base64, json, sys
import numpy as np, tensorflow as tf

path, file = sys.argv[1:]
request = json.load(open(file))
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    meta = tf.compat.v1.saved_model.load(session, ["serve"], path)
    signature = meta.signature_def["serving_default"]
    def value(name, rows):
        if rows and isinstance(rows[0], dict):
            return np.array([base64.b64decode(row["b64"]) for row in rows], object)
        dtype = tf.as_dtype(signature.inputs[name].dtype).as_numpy_dtype
        return np.array(rows, object if dtype is np.object_ else dtype)
    feed = {signature.inputs[name].name: value(name, rows) for name, rows in request.items()}
    outputs = {name: info.name for name, info in signature.outputs.items()}
    answer = session.run(outputs, feed)
shown = lambda each: each.decode() if isinstance(each, bytes) else each
print(json.dumps({k: [shown(each) for each in v.tolist()] for k, v in answer.items()
                  if v.ndim == 1 or k in ("values", "action")}))
"""
# Only the packages of the environment can be imported.
LITERT = """
import json, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter

path, file = sys.argv[1:]
described = json.load(open(path + "/export.json"))
runner = Interpreter(path + "/" + described["file"]).get_signature_runner()
images = np.array(json.load(open(file)), np.uint8)
(probabilities,) = runner(**{described["arrays"]["name"]: images}).values()
print(json.dumps([described["names"][number] for number in probabilities.argmax(axis=1)]))
"""


def answer(python, program, path, request, tmp_path):
    """What a program prints for a request."""
    file = tmp_path / "request.json"
    file.write_text(json.dumps(request))
    command = [python, "-I", "-c", program, str(path), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def exported(workdir, tmp_path, kind="saved_model"):
    output = tmp_path / kind / "1"
    assert run(["export", f"--workdir={workdir}", f"--output={output}", f"--format={kind}"]) == 0
    return output


def encoded(path):
    return {"b64": base64.b64encode(path.read_bytes()).decode()}


def test_a_server_loads_the_export(images, folder, tmp_path):
    request = {"images": [encoded(folder / "red" / "05.jpg"), encoded(folder / "blue" / "04.png")]}
    path = exported(images, tmp_path)
    assert answer(sys.executable, SERVER, path, request, tmp_path)["class"] == ["red", "blue"]


def environment(path, *packages):
    """The Python of a new virtual environment with some packages."""
    venv.create(path, with_pip=True)
    python = str(path / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", *packages]
    subprocess.run(pip, check=True)
    return python


@pytest.mark.slow
def test_with_tensorflow_alone(
    images, folder, fraud, price, table, cartpole, pendulum, tmp_path, capsys
):
    python = environment(tmp_path / "venv", f"tensorflow=={version('tensorflow')}")
    digits = tmp_path / "digits"
    command = ["train", "--config=configs/digits_cnn.py", f"--workdir={digits}"]
    assert run([*command, "--config.train.epochs=4"]) == 0

    def ask(workdir, request):
        path = exported(workdir, tmp_path / workdir.name)
        return answer(python, SERVER, path, request, tmp_path)

    pictures = Path(__file__).parents[2] / "docs" / "images"
    numbers = [encoded(pictures / f"digit_{number}.png") for number in (3, 5, 8)]
    assert ask(digits, {"images": numbers})["class"] == ["3", "5", "8"]
    files = [encoded(folder / color / "07.jpg") for color in ("green", "red")]
    assert ask(images, {"images": files})["class"] == ["green", "red"]

    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))[:50]
    cells = {
        "column_class": [float(row["class"] or "nan") for row in rows],
        "y_2": [float(row["y 2"] or "nan") for row in rows],
        "color": [row["color"] for row in rows],
        "day": [row["day"] for row in rows],
        "is_new": [row["is new"] for row in rows],
    }
    capsys.readouterr()
    assert run(["predict", f"--workdir={fraud}", str(table)]) == 0
    predicted = [json.loads(line)["class"] for line in capsys.readouterr().out.splitlines()][:50]
    assert ask(fraud, cells)["class"] == predicted
    assert set(predicted) == {"no", "yes"}
    values = np.array(ask(price, cells)["values"])[:, 0]
    assert np.corrcoef(values, [float(row["price"]) for row in rows])[0, 1] > 0.5
    observation = np.random.default_rng(0).normal(size=(5, 4)).tolist()
    assert set(ask(cartpole, {"observation": observation})["action"]) <= {0, 1}
    actions = np.array(ask(pendulum, {"observation": np.ones((5, 3)).tolist()})["action"])
    assert actions.shape == (5, 1)
    assert np.abs(actions).max() <= 2


@pytest.mark.slow
def test_with_litert_alone(images, folder, tmp_path):
    python = environment(tmp_path / "venv", f"ai-edge-litert=={version('ai-edge-litert')}")
    files = [folder / color / "04.png" for color in ("blue", "green", "red")]
    pictures = [np.asarray(Image.open(file).resize((16, 16))).tolist() for file in files]
    for kind in ("tflite", "tflite_int8"):
        path = exported(images, tmp_path, kind)
        assert answer(python, LITERT, path, pictures, tmp_path) == ["blue", "green", "red"]

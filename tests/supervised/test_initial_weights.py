"""Runs that start from the weights of other runs, of Keras files and of SavedModels."""

import re

import numpy as np
import pytest

from trainer.cli.main import run
from trainer.compat.keras import keras, tf
from trainer.engine.checkpoints import Checkpoints
from trainer.errors import UserError
from trainer.supervised.initial_weights import load

CLASSES = ("a", "b", "c")
SMALL = (
    "--config=configs/digits_cnn.py",
    "--config.model.filters=4,4",
    "--config.model.units=8",
    "--config.train.steps=4",
)


def network(outputs=3, width=4, seed=0):
    keras.utils.set_random_seed(seed)
    keras.backend.reset_uids()
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(width, 3, name="first")(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Conv2D(width, 3)(x)
    x = keras.layers.Flatten()(x)
    made = keras.Model(inputs, keras.layers.Dense(outputs)(x))
    for variable in made.variables:
        variable.assign(tf.random.normal(variable.shape, seed=seed))
    return made


def saved(form, path):
    source = network(seed=1)
    if form == "saved_model":
        path = str(path / "saved_model")
        tf.saved_model.save(source, path)
    else:
        path = str(path / f"file.{form}")
        source.save(path) if form == "keras" else source.save_weights(path)
    return source, path


def assert_equal(some, others):
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("form", ["keras", "weights.h5", "saved_model"])
def test_all_forms_load(form, tmp_path):
    source, path = saved(form, tmp_path)
    target = network(seed=2)
    found = load(target, path, CLASSES)
    assert_equal(target.variables, source.variables)
    assert (len(found.loaded), found.renewed, found.unused) == (10, (), ())
    assert found.describe("x") == "weights of x: 10 variables loaded"


@pytest.mark.parametrize("form", ["keras", "weights.h5", "saved_model"])
def test_a_head_for_other_classes_is_new(form, tmp_path):
    source, path = saved(form, tmp_path)
    target, untouched = network(outputs=5, seed=2), network(outputs=5, seed=2)
    found = load(target, path, ("a", "b", "c", "d", "e"))
    assert found.renewed == ("dense/kernel", "dense/bias")
    assert_equal(target.variables[:-2], source.variables[:-2])
    assert_equal(target.variables[-2:], untouched.variables[-2:])
    assert "new: dense/kernel, dense/bias" in found.describe("x")


def test_a_network_that_does_not_fit_is_left_unchanged(tmp_path):
    _, path = saved("keras", tmp_path)
    target, untouched = network(width=5, seed=2), network(width=5, seed=2)
    expected = re.escape(
        "does not fit the network, which has first/kernel of shape (3, 3, 1, 5): there it has the "
        "shape (3, 3, 1, 4)"
    )
    with pytest.raises(UserError, match=expected):
        load(target, path, CLASSES)
    assert_equal(target.variables, untouched.variables)


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("x.keras", b"no archive", "is not a file of Keras weights"),
        ("x.weights.h5", b"no HDF5", "is not a file of Keras weights"),
        ("x.weights.h5", b"", "is not a file of Keras weights"),
        ("x.txt", b"text", "is none of these"),
        ("missing", None, "does not exist"),
        ("missing.keras", None, "missing.keras"),
    ],
)
def test_wrong_paths_are_one_line(name, contents, message, tmp_path, capsys):
    path = tmp_path / name
    if contents is not None:
        path.write_bytes(contents)
    workdir = tmp_path / "run"
    arguments = ["train", *SMALL, f"--config.model.weights={path}", f"--workdir={workdir}"]
    assert run(arguments) == 2
    (line,) = [
        line for line in capsys.readouterr().err.splitlines() if not line.startswith("strategy")
    ]
    assert line.startswith("error: ")
    assert message in line
    assert not workdir.exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "digits"
    arguments = ["--config.train.ema_decay=0.5", f"--workdir={workdir}"]
    assert run(["train", *SMALL, *arguments]) == 0
    return workdir


def variables(workdir, prefix):
    found, _ = Checkpoints(str(workdir / "checkpoints"), keep=2).newest()
    reader = tf.train.load_checkpoint(found.prefix)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.startswith(prefix) and name.endswith("VARIABLE_VALUE") and "OPTIMIZER" not in name
    }


def test_a_run_starts_from_the_averaged_weights_of_another(trained, tmp_path, capsys):
    workdir = tmp_path / "run"
    arguments = [
        "train", *SMALL, f"--config.model.weights={trained}", "--config.train.freeze=backbone",
        f"--workdir={workdir}",
    ]  # fmt: skip
    assert run(arguments) == 0
    assert f"weights of {trained}: 14 variables loaded" in capsys.readouterr().err
    averages = list(variables(trained, "ema/_averages").values())
    frozen = variables(workdir, "network/layer_with_weights-0/")
    assert frozen
    for value in frozen.values():
        assert any(value.shape == a.shape and (value == a).all() for a in averages)
    # A finished run does not read the weights again.
    assert run([*arguments, "--config.train.steps=6"]) == 0
    assert "variables loaded" not in capsys.readouterr().err


def test_the_weights_of_an_agent_are_refused(tmp_path, capsys):
    agent = tmp_path / "agent"
    arguments = ["--config.train.steps=300", "--config.evaluate.episodes=2", "--jit=off"]
    config = "--config=configs/cartpole_dqn.py"
    assert run(["train", config, *arguments, f"--workdir={agent}"]) == 0
    arguments = [f"--config.model.weights={agent}", f"--workdir={tmp_path / 'run'}"]
    assert run(["train", *SMALL, *arguments]) == 2
    assert "is an agent; a supervised run is needed" in capsys.readouterr().err
    assert run(["train", config, *arguments]) == 2
    assert "model.weights is for supervised runs" in capsys.readouterr().err

"""The benchmarks' settings are valid experiments, and each side of a comparison runs."""

import importlib
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import Digits, ReinforcementLearning, Supervised
from trainer.data.loading import load
from trainer.models.building import build_network
from trainer.models.context import Context

FOLDER = Path(__file__).parents[1] / "benchmarks"
PEERS = FOLDER.parent / ".venv-peers" / "bin" / "python"
NETWORKS = ("convnet", "keras_cnn", "resnet20")
needs_peers = pytest.mark.skipif(
    not PEERS.exists(), reason="PyTorch is not installed; make bench installs it"
)


@pytest.fixture(autouse=True)
def in_path(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def module(name):
    return importlib.import_module(name)


def serve(python, script, *arguments, requests=(1, 2)):
    """The seconds that a contender answers to each request."""
    done = subprocess.run(
        [str(python), str(FOLDER / script), *arguments],
        input="".join(f"{request}\n" for request in requests),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(requests)
    return [answer["seconds"] for answer in answers]


def parameters_in_other_process(python, statement):
    """The number that a statement prints, with `benchmarks` in the path."""
    done = subprocess.run(
        [str(python), "-c", statement], cwd=FOLDER, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def test_settings_of_agents_are_experiments():
    for setting in module("agent_settings").SETTINGS.values():
        assert isinstance(setting.config(1000), ReinforcementLearning)
    assert isinstance(module("episodes").config(seed=0), ReinforcementLearning)


def test_our_agent_advances():
    assert serve(sys.executable, "trainer_agent.py", "tutorial", requests=(64,))[0] > 0


@pytest.mark.parametrize("network", NETWORKS)
def test_supervised_settings_are_experiments(network):
    for augmented in (False, True):
        experiment = module("experiments").experiment(network, 10, augmented)
        assert isinstance(experiment, Supervised)
        assert bool(experiment.augment) == augmented


# Multiply-adds of each layer with a kernel: outputs, times the inputs of each.
MULTIPLY_ADDS = {
    "convnet": 28 * 28 * 6 * 75 + 10 * 10 * 16 * 150 + 120 * 400 + 84 * 120 + 10 * 84,
    "keras_cnn": 30 * 30 * 32 * 27 + 10 * 7200,
    "resnet20": (
        32 * 32 * 16 * 27
        + 6 * 32 * 32 * 16 * 144
        + 16 * 16 * 32 * (144 + 5 * 288)
        + 8 * 8 * 64 * (288 + 5 * 576)
        + 10 * 64
    ),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_operations_are_those_of_a_hand_computation(network):
    networks = module("networks")
    assert networks.operations(networks.NETWORKS[network]) == 6 * MULTIPLY_ADDS[network]


def our_model(network):
    config = module("experiments").experiment(network, 10).model
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    return build_network(config, (32, 32, 3), 10, Context(0, step)).model


@pytest.mark.parametrize("network", NETWORKS)
def test_layers_are_those_of_our_network(network):
    kernels = [
        (*((1, 1) if len(weight.shape) == 2 else weight.shape[:2]), *weight.shape[-2:])
        for weight in our_model(network).trainable_variables
        if len(weight.shape) > 1
    ]
    layers = module("networks").NETWORKS[network]
    assert kernels == [
        (layer.kernel, layer.kernel, layer.inputs, layer.outputs) for layer in layers
    ]


def our_parameters():
    return [
        sum(math.prod(weight.shape) for weight in our_model(network).trainable_variables)
        for network in NETWORKS
    ]


@needs_peers
def test_pytorch_has_the_same_number_of_parameters():
    statement = (
        "from torch_training import build\n"
        f"for network in {NETWORKS}:\n"
        "    print(sum(p.numel() for p in build(network)[0].parameters()))"
    )
    assert parameters_in_other_process(PEERS, statement) == our_parameters()


def test_keras_has_the_same_number_of_parameters():
    statement = (
        "from keras_training import build\n"
        f"for network in {NETWORKS}:\n"
        "    print(sum(w.value.shape.num_elements() "
        "for w in build(network, False).trainable_weights))"
    )
    assert parameters_in_other_process(sys.executable, statement) == our_parameters()


@needs_peers
@pytest.mark.parametrize(
    "options",
    [["float32"], pytest.param(["bfloat16", "channels_last"], marks=pytest.mark.slow)],
)
def test_pytorch_advances(options):
    assert min(serve(PEERS, "torch_training.py", "convnet", "1", *options)) > 0


@needs_peers
@pytest.mark.slow
def test_compiled_pytorch_advances():
    assert min(serve(PEERS, "torch_training.py", "convnet", "1", "float32", "compile")) > 0


@pytest.mark.parametrize(
    "options",
    [["float32"], pytest.param(["mixed_bfloat16", "no_xla"], marks=pytest.mark.slow)],
)
def test_keras_advances(options):
    assert min(serve(sys.executable, "keras_training.py", "keras_cnn", *options)) > 0


def test_trainer_advances():
    assert module("supervised").trainer("convnet", augmented=True)(2) > 0


@needs_peers
@pytest.mark.parametrize("work", ["float32", "copy"])
def test_the_roof_is_measured(work):
    assert serve(PEERS, "roof.py", work, requests=(1,))[0] > 0


def test_an_error_of_a_contender_has_its_reason():
    turns = module("turns")
    script = "from contender import serve; serve(lambda amount: 1 / (amount - 1))"
    environment = {"PYTHONPATH": str(FOLDER)}
    with turns.Contender([sys.executable, "-c", script], environment) as contender:
        assert contender.measure(2) == 1.0
        with pytest.raises(turns.ContenderError, match="ZeroDivisionError: division by zero"):
            contender.measure(1)
    with (
        turns.Contender([sys.executable, "-c", "raise SystemExit(3)"]) as contender,
        pytest.raises(turns.ContenderError, match="exit status 3"),
    ):
        contender.measure(1)


def test_threads_are_powers_of_two_up_to_all_cores():
    counts = module("supervised").thread_counts
    assert [counts(cores) for cores in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]


RECORD = {
    "operations_per_example": 6_000_000,
    "survey": {},
    "mode": {"PyTorch": "PyTorch float32, 1 thread", "Keras": "Keras mixed_bfloat16"},
    "precision": {"ours": "float32", "PyTorch": "float32", "Keras": "bfloat16"},
    "examples_per_second": {
        "ours": [30_000.0, 20_000.0, 10_000.0],
        "PyTorch": [10_000.0, 10_000.0, 10_000.0],
        "Keras": [9_000.0, 1_000.0, 1_000.0],
    },
    "roof_per_second": {"float32": [4e11] * 3, "bfloat16": [6e11] * 3, "copy": [5e9] * 3},
}


def test_figures_are_compared_turn_by_turn():
    summary = module("supervised").summarize(RECORD)
    assert summary["ours"]["ratio_to_best_peer"] == [3.0, 2.0, 1.0]
    assert summary["ours"]["share_of_roof"] == pytest.approx([0.45, 0.3, 0.15])
    assert summary["Keras"]["share_of_roof"] == pytest.approx([0.09, 0.01, 0.01])


def test_the_table_fits_80_columns():
    record = {**RECORD, "examples_per_second": {"ours, augmented": [123_456.7] * 3}}
    record["examples_per_second"] |= RECORD["examples_per_second"]
    record["precision"] = {**RECORD["precision"], "ours, augmented": "float32"}
    lines = module("supervised").table(record).splitlines()
    assert max(map(len, lines)) <= 80
    assert "2.00" in next(line for line in lines if "20,000 (10,000–30,000)" in line)


def test_arrays_for_pytorch_are_those_of_the_run(tmp_path):
    accuracy = module("accuracy")
    config = Supervised(data=Digits(normalize="standard"))
    accuracy.write_arrays(config, "", tmp_path / "arrays.npz")
    arrays = np.load(tmp_path / "arrays.npz")
    dataset = load(config.data, "")
    for name, split in dataset.splits.items():
        np.testing.assert_array_equal(arrays[f"{name}_images"], split.features)
        np.testing.assert_array_equal(arrays[f"{name}_labels"], split.targets)
    images = (arrays["train_images"] - arrays["offset"]) * arrays["scale"]
    assert abs(images.mean()) < 1e-3
    assert abs(images.std() - 1) < 1e-3

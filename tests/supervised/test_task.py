"""The update of a supervised task against NumPy, and its graph as an accelerator would get it."""

import os
import time

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import CNN, MLP, SGD, Adam, AdamW, CutMix, Linear, MixUp, Supervised, Train
from trainer.data.augment.mixing import make_mix
from trainer.data.augment.registry import make_augment
from trainer.data.examples import Dataset, InMemoryExamples
from trainer.data.pipelines.batches import training_pipeline
from trainer.data.pipelines.order import Natural
from trainer.data.signature import Signature
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.supervised.task import SupervisedTask

SIZE = 16
CLASSES = 3


class Accelerator(distribution.Runtime):
    """A second CPU that takes the part of a GPU: the task treats it like one."""

    name = "gpu"


def accelerator(jit="off"):
    strategy = tf.distribute.OneDeviceStrategy("/cpu:1")
    return Accelerator(strategy, "float32", jit, "")


def examples(shape):
    random = np.random.default_rng(0)
    return InMemoryExamples(
        random.normal(size=(SIZE, *shape)).astype(np.float32),
        random.integers(0, CLASSES, SIZE).astype(np.int32),
    )


def task(model, optimizer, runtime, split):
    shape = split.features.shape[1:]
    signature = Signature(
        "image", shape, shape, ("a", "b", "c"), (), (0.0,) * shape[-1], (1.0,) * shape[-1]
    )
    experiment = Supervised(model=model, optimizer=optimizer, train=Train(global_batch_size=SIZE))
    made = SupervisedTask(
        experiment, Dataset({"train": split, "validation": split}, signature), runtime, 100
    )
    made.start(0)
    return made


@pytest.mark.parametrize("strategy", ["cpu", "mirrored"])
def test_an_update_follows_the_gradient_of_the_mean_loss(strategy):
    runtime = distribution.create(
        DistributionConfig(strategy, virtual_devices=2, precision="float32")
    )
    split = examples((5,))
    # The only batch is the whole split.
    made = task(Linear(), SGD(learning_rate=0.5), runtime, split)
    weights, bias = (variable.numpy() for variable in made.network.trainable_variables)
    logits = split.features @ weights + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss = -np.log(probabilities[np.arange(SIZE), split.targets]).mean()
    d_logits = (probabilities - np.eye(CLASSES)[split.targets]) / SIZE
    d_weights, d_bias = split.features.T @ d_logits, d_logits.sum(axis=0)

    made.advance(1)
    after = [variable.numpy() for variable in made.network.trainable_variables]
    np.testing.assert_allclose(after[0], weights - 0.5 * d_weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after[1], bias - 0.5 * d_bias, rtol=1e-4, atol=1e-6)
    metrics = made.metrics()
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-5)
    norm = np.sqrt((d_weights**2).sum() + (d_bias**2).sum())
    np.testing.assert_allclose(metrics["gradient_norm"], norm, rtol=1e-4)


def training_graphs(made):
    """The graph of the training loop, and all functions that it calls."""
    graph = made._train_chunk.get_concrete_function(made._batches, tf.constant(1), 0).graph
    library = [graph._get_function(name) for name in graph._functions]
    return graph, library


def test_the_training_loop_does_not_wait_for_the_accelerators_batches():
    """A host operation that follows a batch on a GPU waits for the work before it."""
    made = task(Linear(), SGD(), accelerator(), examples((5,)))
    definition = training_graphs(made)[0].as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    assert "IteratorGetNext" in {node.op for node in nodes}
    assert not [node.name for node in nodes if node.op == "Timestamp"]
    assert made.advance(3) >= 0


class Slow(InMemoryExamples):
    """Reading a batch takes 20 ms."""

    def at(self, positions):
        def wait(given):
            time.sleep(0.02)
            return given

        waited = tf.numpy_function(wait, [positions], tf.int64)
        return super().at(tf.ensure_shape(waited, positions.shape))


@pytest.mark.parametrize("kind", ["cpu", "accelerator", "mirrored"])
def test_waiting_for_input_is_measured(kind):
    runtime = (
        accelerator()
        if kind == "accelerator"
        else distribution.create(DistributionConfig(kind, virtual_devices=2))
    )
    fast, slow = examples((5,)), Slow(*vars(examples((5,))).values())
    for split in (fast, slow):
        made = task(Linear(), SGD(), runtime, split)
        made.advance(3)
        started = time.perf_counter()
        waited = made.advance(40)
        seconds = time.perf_counter() - started
        assert 0 <= waited <= seconds
        if split is slow:
            assert waited > 0.5 * seconds


def test_the_training_split_stays_in_the_hosts_memory():
    split = examples((5,))
    with tf.device("/cpu:1"):
        # The default device where there is a GPU.
        split.at(tf.constant([0], tf.int64))
        made = task(Linear(), SGD(), accelerator(), split)
        made.advance(1)
        made.evaluate()
        host = [tensor.device[-5:] for tensor in split._tensors]
    assert host == ["CPU:0", "CPU:0"]
    # The state is on the accelerator.
    assert {v.device[-5:] for v in made.network.variables} == {"CPU:1"}


def test_processes_share_a_gpus_memory(monkeypatch):
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    distribution.create(DistributionConfig("cpu", precision="float32"))
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    distribution.create(DistributionConfig("cpu", precision="float32"))
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "false"


@pytest.mark.skipif(
    not distribution.xla_compiles_for_cpus(), reason="this build has no XLA for CPUs"
)
@pytest.mark.parametrize(
    ("model", "optimizer"),
    [
        (CNN(filters=(4,), units=(8,), batch_norm=True, dropout=0.5), Adam(clip_norm=1.0)),
        (MLP(units=(8,), dropout=0.5), AdamW()),
    ],
    ids=["cnn", "mlp"],
)
def test_no_compiled_function_uses_an_int32_variable(model, optimizer):
    """XLA keeps int32 variables in the host's memory, where a GPU's programs cannot read them."""
    made = task(model, optimizer, accelerator(jit="on"), examples((32, 32, 3)))
    made.advance(1)
    definition = training_graphs(made)[0].as_graph_def()
    compiled = [
        function for function in definition.library.function if function.attr["_XlaMustCompile"].b
    ]
    assert compiled
    (update,) = made._compiled_update._list_all_concrete_functions()
    variables = {variable.dtype for variable in update.graph.variables}
    assert tf.float32 in variables
    assert tf.int32 not in variables | {outside.dtype for outside, _ in update.graph.captures}


@pytest.mark.parametrize("strategy", ["cpu", "mirrored"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_the_loss_of_mixed_examples_is_that_of_their_targets(strategy, label_smoothing):
    """And accuracy counts against the labels of the examples themselves."""
    runtime = distribution.create(
        DistributionConfig(strategy, virtual_devices=2, precision="float32")
    )
    shape, sections = (4, 4, 1), (MixUp(alpha=1.0), CutMix())
    random = np.random.default_rng(0)
    split = InMemoryExamples(
        random.integers(0, 256, (SIZE, *shape), np.uint8),
        random.integers(0, CLASSES, SIZE).astype(np.int32),
    )
    pipeline = training_pipeline(
        split,
        Natural(SIZE, 0),
        SIZE,
        0,
        make_augment(sections, 0, shape),
        make_mix(sections, 0, CLASSES),
    )
    features, labels, targets = (
        value.numpy() for value in next(iter(pipeline(tf.distribute.InputContext(1, 0, 1))))
    )
    assert ((targets > 0) & (targets < 1)).any()

    experiment = Supervised(
        model=Linear(),
        augment=sections,
        optimizer=SGD(learning_rate=0.5),
        train=Train(global_batch_size=SIZE, label_smoothing=label_smoothing),
    )
    signature = Signature("image", shape, shape, ("a", "b", "c"), (), (0.0,), (1 / 255,))
    made = SupervisedTask(experiment, Dataset({"train": split}, signature), runtime, 100)
    made.start(0)
    weights, bias = (variable.numpy() for variable in made.network.trainable_variables)
    inputs = features.reshape(SIZE, -1) / 255
    logits = inputs @ weights + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wanted = (1 - label_smoothing) * targets + label_smoothing / CLASSES

    made.advance(1)
    after = made.network.trainable_variables[0].numpy()
    gradient = inputs.T @ (probabilities - wanted) / SIZE
    np.testing.assert_allclose(after, weights - 0.5 * gradient, rtol=1e-4, atol=1e-6)
    metrics = made.metrics()
    np.testing.assert_allclose(
        metrics["loss"], -(wanted * np.log(probabilities)).sum(axis=1).mean(), rtol=1e-5
    )
    np.testing.assert_allclose(metrics["accuracy"], (logits.argmax(axis=1) == labels).mean())

"""Every model under every strategy that this machine can show; two replicas equal one."""

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.config import CNN, MLP, SGD, Adam, ConvNet, KerasCNN, Linear, Supervised, Train
from trainer.data.examples import Dataset, InMemoryExamples
from trainer.data.signature import Signature
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.supervised.task import SupervisedTask

MODELS = {
    "linear": Linear(),
    "mlp": MLP(units=(16,), dropout=0.1),
    "cnn": CNN(filters=(4,), units=(8,), batch_norm=True),
    "keras_cnn": KerasCNN(),
    "convnet": ConvNet(),
}
DISTRIBUTIONS = {
    "cpu": DistributionConfig(strategy="cpu", precision="float32"),
    "mirrored": DistributionConfig(strategy="mirrored", virtual_devices=2, precision="float32"),
}


@pytest.fixture(autouse=True)
def float32():
    yield
    keras.mixed_precision.set_global_policy("float32")


def easy_data(shape=(32, 32, 3), classes=4, size=256):
    """Images whose brightness is their class, with a little noise."""
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, size).astype(np.int32)
    levels = (labels * 60).reshape(-1, *(1 for _ in shape))
    features = (levels + random.integers(0, 20, (size, *shape))).astype(np.uint8)
    split = InMemoryExamples(features, labels)
    signature = Signature(
        kind="image",
        stored_shape=shape,
        input_shape=shape,
        classes=tuple("abcdefgh"[:classes]),
        columns=(),
        offset=(127.5,) * shape[-1],
        scale=(1 / 127.5,) * shape[-1],
    )
    return Dataset({"train": split, "validation": split, "test": split}, signature)


def task(model, distribution_config, **train):
    experiment = Supervised(
        model=model,
        optimizer=Adam(learning_rate=3e-3),
        train=Train(**{"global_batch_size": 32, **train}),
    )
    made = SupervisedTask(experiment, easy_data(), distribution.create(distribution_config), 100)
    made.start(0)
    return made


def falls(trained):
    """Whether the training loss falls well below that of the first updates."""
    trained.advance(2)
    first = trained.metrics()["loss"]
    trained.advance(60)
    trained.reset_metrics()
    trained.advance(5)
    return trained.metrics()["loss"] < 0.5 * first


@pytest.mark.parametrize("distribution_config", DISTRIBUTIONS)
@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_under_every_strategy(model, distribution_config):
    trained = task(MODELS[model], DISTRIBUTIONS[distribution_config])
    assert falls(trained)
    assert set(trained.evaluate()) == {"loss", "accuracy"}


@pytest.mark.parametrize("clip_norm", [0.0, 0.1])
@pytest.mark.parametrize("jit", ["on", "off"] if distribution.xla_compiles_for_cpus() else ["off"])
def test_a_step_on_two_replicas_is_a_step_on_one(jit, clip_norm):
    weights = {}
    for name, distribution_config in DISTRIBUTIONS.items():
        runtime = distribution.create(
            DistributionConfig(
                distribution_config.strategy, virtual_devices=2, precision="float32", jit=jit
            )
        )
        experiment = Supervised(
            model=CNN(filters=(4,), units=(8,)),
            optimizer=SGD(learning_rate=0.1, momentum=0.9, clip_norm=clip_norm),
            train=Train(global_batch_size=32, label_smoothing=0.1),
        )
        made = SupervisedTask(experiment, easy_data(), runtime, 100)
        made.start(0)
        initial = [variable.numpy() for variable in made.network.trainable_variables]
        made.advance(3)
        weights[name] = [variable.numpy() for variable in made.network.trainable_variables]
        moved = [np.abs(a - b).max() for a, b in zip(initial, weights[name], strict=True)]
        assert min(moved) > 1e-5
        assert made.metrics()["loss"] > 0
    for one, two in zip(weights["cpu"], weights["mirrored"], strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_with_float32_variables(precision):
    distribution_config = DistributionConfig(strategy="cpu", precision=precision)
    trained = task(MODELS["cnn"], distribution_config)
    assert falls(trained)
    assert {v.dtype for v in trained.network.trainable_variables} == {tf.float32}


def test_evaluation_counts_every_example_once():
    made = task(MODELS["linear"], DISTRIBUTIONS["mirrored"])
    dataset = easy_data()
    logits = made.network(
        (dataset.splits["test"].features[:77].astype(np.float32) - 127.5) / 127.5
    ).numpy()
    labels = dataset.splits["test"].targets[:77]
    accuracy = (logits.argmax(axis=1) == labels).mean()
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss = -log_probabilities[np.arange(77), labels].mean()
    # 77 examples fill neither a batch nor a replica's share.
    part = InMemoryExamples(dataset.splits["test"].features[:77], labels)
    metrics = made.evaluate_split(part)
    np.testing.assert_allclose(metrics["accuracy"], accuracy, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-5)


def test_reported_metrics_do_not_depend_on_where_two_replicas_resumed(tmp_path):
    def run(stops):
        made = task(MODELS["linear"], DISTRIBUTIONS["mirrored"])
        done = 0
        for stop in (*stops, 60):
            made.advance(stop - done)
            done = stop
            checkpoint = tf.train.Checkpoint(
                accumulators=tf.train.Checkpoint(**made.accumulators), **made.state
            )
            prefix = checkpoint.write(str(tmp_path / f"{stops}-{stop}"))
            if stop < 60:
                checkpoint.read(prefix).assert_consumed()
        return made.metrics()

    undisturbed = run(())
    for stops in ((7,), (20, 41), (13, 29, 53)):
        assert run(stops) == undisturbed

"""Every member of the `Model` union: it trains, compiles, resumes exactly and has stable names."""

import dataclasses

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.config import (
    CNN,
    MLP,
    SGD,
    VGG,
    Airbench,
    AlexNet,
    Applications,
    ConvNet,
    CustomModel,
    Inception,
    KerasCNN,
    LeNet5,
    Linear,
    ResNet,
    Supervised,
    Train,
    WideResNet,
)
from trainer.config.fields import variants
from trainer.config.models import Model
from trainer.data.examples import Dataset, InMemoryExamples, Signature
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.models.building import build_network
from trainer.models.context import Context
from trainer.supervised.task import ClassificationTask

# Settings that make each network tiny and turn on what has state or draws random numbers, and
# the smallest convenient height and width of its images.
TINY = {
    "linear": (Linear(), 8),
    "mlp": (MLP(units=(8,), dropout=0.5), 8),
    "cnn": (CNN(filters=(4,), units=(8,), batch_norm=True, dropout=0.5), 8),
    "keras_cnn": (KerasCNN(), 8),
    "convnet": (ConvNet(), 16),
    "lenet5": (LeNet5(), 32),
    "alexnet": (AlexNet(width=0.05), 32),
    "vgg": (VGG(depth=11, width=0.05), 32),
    "inception": (Inception(width=0.05, batch_norm=False), 16),
    "resnet": (ResNet(depth=8, width=0.25, stochastic_depth=0.5), 8),
    "wide_resnet": (WideResNet(depth=10, width=0.25, dropout=0.5, stochastic_depth=0.5), 8),
    "airbench": (Airbench(width=0.05), 16),
    "applications": (Applications(name="MobileNet"), 32),
    "custom": (CustomModel(builder=f"{__name__}:users_model"), 8),
}
KINDS = list(variants(Model))
BATCH_SIZE = 8
# Computed from the data, and never trained.
FIXED = ("whitening/kernel:0",)
CLASSES = ("a", "b", "c")


def users_model(config, inputs, context):
    """A user's network, with plain Keras layers."""
    del config
    features = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    features = keras.layers.BatchNormalization()(features)
    features = keras.layers.GlobalAveragePooling2D()(features)
    return context.dropout(0.5, "dropout")(features)


def tiny(kind):
    assert kind in TINY, (
        f"model.kind {kind!r} is registered but not tested: add the settings of a tiny network "
        f"and its image size to TINY in {__file__}"
    )
    return TINY[kind]


def task(kind, strategy="cpu", jit="off"):
    """A task on random images of three classes, four batches in total."""
    model, size = tiny(kind)
    runtime = distribution.create(
        DistributionConfig(strategy, virtual_devices=2, precision="float32", jit=jit)
    )
    random = np.random.default_rng(0)
    shape = (size, size, 3)
    split = InMemoryExamples(
        random.normal(size=(4 * BATCH_SIZE, *shape)).astype(np.float32),
        random.integers(0, len(CLASSES), 4 * BATCH_SIZE).astype(np.int32),
    )
    signature = Signature("image", shape, shape, CLASSES, (), (0.0,) * 3, (1.0,) * 3)
    experiment = Supervised(
        model=model,
        optimizer=SGD(learning_rate=0.01, momentum=0.9),
        train=Train(global_batch_size=BATCH_SIZE),
    )
    return ClassificationTask(experiment, Dataset({"train": split}, signature), runtime, 10)


def values(made):
    return [variable.numpy() for variable in made.parameters]


def assert_training_changes_all_weights(made, updates):
    before = [variable.numpy() for variable in made.network.variables]
    made.start(0)
    made.advance(updates)
    assert np.isfinite(made.metrics()["loss"])
    assert made.metrics()["gradient_norm"] > 0
    for variable, initial in zip(made.network.variables, before, strict=True):
        assert np.isfinite(variable.numpy()).all(), variable.name
        changed = (variable.numpy() != initial).any()
        assert changed != (variable.name in FIXED), variable.name


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_resumes_bit_for_bit(kind, tmp_path):
    straight = task(kind)
    assert_training_changes_all_weights(straight, 2)
    path = tf.train.Checkpoint(**straight.state).write(str(tmp_path / "state"))
    straight.advance(2)

    resumed = task(kind)
    tf.train.Checkpoint(**resumed.state).read(path).assert_consumed()
    resumed.start(2)
    resumed.advance(2)
    for variable, one, other in zip(
        straight.parameters, values(straight), values(resumed), strict=True
    ):
        np.testing.assert_array_equal(one, other, err_msg=variable.name)


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_on_two_replicas(kind):
    made = task(kind, "mirrored")
    assert_training_changes_all_weights(made, 2)
    for variable in made.network.variables:
        first, second = (copy.numpy() for copy in variable.values)
        np.testing.assert_array_equal(first, second, err_msg=variable.name)


@pytest.mark.skipif(
    not distribution.xla_compiles_for_cpus(), reason="this build has no XLA for CPUs"
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_update_compiles(kind):
    assert_training_changes_all_weights(task(kind, jit="on"), 2)


@pytest.mark.parametrize("kind", KINDS)
def test_names_do_not_depend_on_networks_built_before(kind):
    model, size = tiny(kind)

    def names():
        step = tf.Variable(0, dtype=tf.int64, trainable=False)
        network = build_network(model, (size, size, 3), 3, Context(0, step)).model
        named = [v.name for v in network.variables]
        assert len(set(named)) == len(named)
        return [layer.name for layer in network.layers], named

    assert names() == names()


@pytest.mark.parametrize("kind", KINDS)
def test_tiny_networks_have_the_kind_that_they_stand_for(kind):
    model, _ = tiny(kind)
    assert model.kind == kind
    assert dataclasses.is_dataclass(model)

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
from trainer.data.examples import Dataset, InMemoryExamples
from trainer.data.signature import Signature
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.models.building import build_network
from trainer.models.context import Context
from trainer.supervised.task import SupervisedTask

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
# Networks of so many layers that tracing them takes long.
LARGE = ("applications", "inception", "vgg")
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


def task(kind, strategy="cpu", jit="off", streams=1):
    """A task on random images of three classes, four batches in total."""
    model, size = tiny(kind)
    runtime = distribution.create(
        DistributionConfig(strategy, virtual_devices=2, precision="float32", jit=jit)
    )
    runtime = dataclasses.replace(runtime, streams=streams)
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
        train=Train(global_batch_size=BATCH_SIZE, batch_norm_group=4 * (kind != "custom")),
    )
    return SupervisedTask(experiment, Dataset({"train": split}, signature), runtime, 10)


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
def test_the_whole_update_is_one_program_of_static_shapes(kind):
    """XLA's intermediate language, as a TPU's compiler gets it; generating code takes longer."""
    made = task(kind, jit="on")
    shape = (BATCH_SIZE, *made._classifier.signature.input_shape)
    labels = tf.zeros([BATCH_SIZE], tf.int32)
    lower = made._compiled_update.experimental_get_compiler_ir(-1, tf.zeros(shape), labels, labels)
    program = lower(stage="hlo")
    assert "ENTRY" in program
    # The dimensions of a dynamic shape have bounds, as in f32[<=8,10].
    assert "<=" not in program.replace("=>", "")
    assert "custom-call" not in program


@pytest.mark.skipif(
    not distribution.xla_compiles_for_cpus(), reason="this build has no XLA for CPUs"
)
@pytest.mark.parametrize("kind", ["cnn", pytest.param("resnet", marks=pytest.mark.slow)])
def test_a_compiled_update_trains(kind):
    assert_training_changes_all_weights(task(kind, jit="on"), 2)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow if kind in LARGE else ())
        for kind in KINDS
        if kind != "custom"
    ],
)
def test_two_halves_have_the_gradients_of_the_batch(kind):
    """With batch normalization by groups, and with the same random masks."""
    gradients = []
    for streams in (1, 2):
        made = task(kind, streams=streams)
        random = np.random.default_rng(1)
        features = tf.constant(
            random.normal(size=(BATCH_SIZE, *made._classifier.signature.input_shape)), tf.float32
        )
        labels = tf.constant(random.integers(0, len(CLASSES), BATCH_SIZE), tf.int32)
        values, loss, _ = tf.function(made._gradients)(features, labels)
        statistics = [v for v in made.network.variables if "moving" in v.name]
        gradients.append([v.numpy() for v in (*values, loss, *statistics)])
    for whole, halves in zip(*gradients, strict=True):
        np.testing.assert_allclose(halves, whole, rtol=1e-3, atol=1e-5 * np.abs(whole).max())


@pytest.mark.parametrize("kind", KINDS)
def test_names_do_not_depend_on_networks_built_before(kind):
    model, size = tiny(kind)

    def built():
        step = tf.Variable(0, dtype=tf.int64, trainable=False)
        return build_network(model, (size, size, 3), 3, Context(0, step)).model

    first, second = built(), built()
    named = [v.name for v in first.variables]
    assert len(set(named)) == len(named)
    assert [v.name for v in second.variables] == named
    assert [layer.name for layer in second.layers] == [layer.name for layer in first.layers]
    # A user's network is not halved whatever it contains.
    if kind != "custom":
        assert model.has_batch_norm == any("moving_mean" in name for name in named)


@pytest.mark.parametrize("kind", KINDS)
def test_tiny_networks_have_the_kind_that_they_stand_for(kind):
    model, _ = tiny(kind)
    assert model.kind == kind
    assert dataclasses.is_dataclass(model)

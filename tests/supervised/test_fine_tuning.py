"""Frozen layers, unfreezing and the learning rates of layers."""

import dataclasses

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.config import CNN, SGD, Supervised, Train
from trainer.data.examples import Dataset, InMemoryExamples
from trainer.data.signature import Signature
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.errors import UserError
from trainer.supervised.fine_tuning import Frozen, frozen_layers, parameter_groups
from trainer.supervised.task import SupervisedTask

SIZE, SHAPE = 16, (8, 8, 1)
MODEL = CNN(filters=(4, 4), units=(6,), batch_norm=True)


def make_task(strategy="cpu", jit="off", **train):
    random = np.random.default_rng(0)
    split = InMemoryExamples(
        random.normal(size=(SIZE, *SHAPE)).astype(np.float32),
        random.integers(0, 3, SIZE).astype(np.int32),
    )
    signature = Signature("image", SHAPE, SHAPE, ("a", "b", "c"), (), (0.0,), (1.0,))
    experiment = Supervised(
        model=MODEL, optimizer=SGD(0.1), train=Train(global_batch_size=SIZE, **train)
    )
    runtime = distribution.create(
        DistributionConfig(strategy, virtual_devices=2, precision="float32", jit=jit)
    )
    task = SupervisedTask(experiment, Dataset({"train": split}, signature), runtime, 10)
    task.start(0)
    return task


def changed(task, updates):
    """The layers whose variables change in some updates."""
    before = [[v.numpy() for v in layer.variables] for layer in task.network.layers]
    task.advance(updates)
    return {
        layer.name
        for layer, old in zip(task.network.layers, before, strict=True)
        if any((a != v.numpy()).any() for a, v in zip(old, layer.variables, strict=True))
    }


BACKBONE = {"conv2d", "conv2d_1", "batch_normalization", "batch_normalization_1", "dense"}
HEAD = {"dense_1"}


@pytest.mark.parametrize("strategy", ["cpu", "mirrored"])
@pytest.mark.parametrize("jit", ["off", "on"] if distribution.xla_compiles_for_cpus() else ["off"])
def test_a_frozen_backbone_learns_after_its_update(strategy, jit):
    """Its moving statistics stay as they are, too."""
    task = make_task(strategy, jit, freeze="backbone", unfreeze_at="3")
    assert changed(task, 2) == HEAD
    # This call passes the boundary.
    assert changed(task, 2) == BACKBONE | HEAD
    assert changed(task, 1) == BACKBONE | HEAD


def test_layers_up_to_a_named_one_are_frozen():
    task = make_task(freeze="conv2d_1")
    lower = {"conv2d", "batch_normalization", "conv2d_1"}
    assert changed(task, 2) == (BACKBONE | HEAD) - lower


def test_micro_batches_leave_out_frozen_layers():
    task = make_task(freeze="backbone", micro_batches=2)
    assert changed(task, 1) == HEAD


def test_an_unknown_layer_names_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'conv2d_1'"):
        make_task(freeze="conv2d_2")


def test_unfreezing_needs_something_frozen():
    with pytest.raises(UserError, match="unfreeze_at requires freeze"):
        Train(unfreeze_at="3")


def network():
    keras.backend.reset_uids()
    inputs = keras.Input((4,))
    x = inputs
    for _ in range(3):
        x = keras.layers.BatchNormalization()(keras.layers.Dense(5)(x))
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def test_learning_rates_decay_from_the_head_down():
    groups = parameter_groups(network(), Frozen(), layer_decay=0.5)
    factors = [(group.learning_rate_factor, len(group.variables)) for group in groups]
    # A kernel and a bias each, and the scale and offset of the normalization above them.
    assert factors == [(0.125, 4), (0.25, 4), (0.5, 4), (1.0, 2)]
    made = network()
    (group,) = parameter_groups(made, Frozen(), layer_decay=1.0)
    assert [id(v) for v in group.variables] == [id(v) for v in made.trainable_variables]


def test_the_update_of_unfreezing_can_be_a_share_of_the_run():
    train = Train(freeze="dense", unfreeze_at="10 %")
    frozen = frozen_layers(network(), train, total_updates=200, updates_per_epoch=50)
    assert ([layer.name for layer in frozen.layers], frozen.until) == (["input_1", "dense"], 20)
    epochs = dataclasses.replace(train, unfreeze_at="2 epochs")
    assert frozen_layers(network(), epochs, 200, 50).until == 100


def test_a_run_resumes_exactly_within_and_after_the_frozen_phase(tmp_path):
    settings = {"freeze": "backbone", "unfreeze_at": "3", "layer_decay": 0.5, "ema_decay": 0.9}
    undisturbed = make_task(**settings)
    undisturbed.advance(6)
    for stop in (2, 4):
        stopped = make_task(**settings)
        stopped.advance(stop)
        path = tf.train.Checkpoint(**stopped.state).write(str(tmp_path / f"{stop}"))
        resumed = make_task(**settings)
        tf.train.Checkpoint(**resumed.state).read(path).assert_consumed()
        resumed.start(stop)
        resumed.advance(6 - stop)
        for name in ("network", "ema"):
            pairs = zip(
                undisturbed.state[name].variables, resumed.state[name].variables, strict=True
            )
            for one, other in pairs:
                np.testing.assert_array_equal(one.numpy(), other.numpy())

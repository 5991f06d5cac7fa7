"""Batch normalization on two replicas that see different data."""

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.config import CNN, SGD, CustomModel, Supervised, Train
from trainer.data.examples import Dataset, InMemoryExamples
from trainer.data.signature import Signature
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.models.moving_statistics import equal_on_all_replicas, synchronize
from trainer.supervised.task import SupervisedTask

MOMENTUM = 0.9


def users_model(config, inputs, context):
    """A user's network, with a plain Keras layer; its input is the normalized examples."""
    del config, context
    features = keras.layers.BatchNormalization(momentum=MOMENTUM, name="users")(inputs)
    return keras.layers.Flatten()(features)


def copies(variable):
    return [copy.numpy() for copy in variable.values]


def trained(model, jit, features, updates):
    runtime = distribution.create(
        DistributionConfig("mirrored", virtual_devices=2, precision="float32", jit=jit)
    )
    shape = features.shape[1:]
    split = InMemoryExamples(features, np.arange(len(features), dtype=np.int32) % 3)
    signature = Signature("image", shape, shape, ("a", "b", "c"), (), (0.0,) * 3, (1.0,) * 3)
    experiment = Supervised(
        model=model, optimizer=SGD(), train=Train(global_batch_size=len(features))
    )
    task = SupervisedTask(experiment, Dataset({"train": split}, signature), runtime, 10)
    task.start(0)
    task.advance(updates)
    return task


@pytest.mark.parametrize("jit", ["on", "off"] if distribution.xla_compiles_for_cpus() else ["off"])
def test_the_moving_averages_of_all_replicas_are_their_mean(jit):
    features = np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype(np.float32)
    model = CustomModel(builder=f"{__name__}:users_model")
    network = trained(model, jit, features, updates=2).network
    layer = network.get_layer("users")
    for variable, initial in ((layer.moving_mean, 0.0), (layer.moving_variance, 1.0)):
        first, second = copies(variable)
        np.testing.assert_array_equal(first, second)
        assert np.abs(first - initial).min() > 1e-4
        # What is read or saved is exactly what the replicas have.
        np.testing.assert_array_equal(variable.numpy(), first)
    # The batch is the whole split, so the mean of both halves is that of the split.
    mean = features.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(copies(layer.moving_mean)[0], mean * (1 - MOMENTUM**2), rtol=1e-4)


def test_a_network_of_ours_has_equal_statistics_too():
    features = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype(np.float32)
    model = CNN(filters=(4,), units=(4,), batch_norm=True, dropout=0.5)
    network = trained(model, "off", features, updates=3).network
    statistics = [v for v in network.variables if "moving" in v.name]
    assert len(statistics) == 2
    for variable in statistics:
        first, second = copies(variable)
        np.testing.assert_array_equal(first, second)


def test_other_variables_keep_the_values_of_their_replica():
    """Metrics that are summed when read, and integers, are no moving statistics."""
    runtime = distribution.create(DistributionConfig("mirrored", virtual_devices=2))
    with runtime.strategy.scope(), equal_on_all_replicas():
        total, count = (
            tf.Variable(
                tf.zeros([], dtype),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=aggregation,
            )
            for dtype, aggregation in (
                (tf.float32, tf.VariableAggregation.SUM),
                (tf.int64, tf.VariableAggregation.ONLY_FIRST_REPLICA),
            )
        )

    @tf.function
    def step():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        total.assign_add(tf.cast(replica, tf.float32) + 1)
        count.assign_add(tf.cast(replica, tf.int64) + 1)
        synchronize([total, count])

    runtime.strategy.run(step)
    assert copies(total) == [1, 2]
    assert copies(count) == [1, 2]

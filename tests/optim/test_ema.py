import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.models.moving_statistics import equal_on_all_replicas
from trainer.optim.ema import ExponentialMovingAverage

DECAY = 0.7
UPDATES = 12


class Network:
    """A weight, a moving statistic and a counter that change at each update."""

    def __init__(self, strategy):
        self.strategy = strategy
        with strategy.scope(), equal_on_all_replicas():
            weight = tf.Variable([1.0, -2.0])
            statistic = tf.Variable(
                [0.3],
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.MEAN,
            )
            counter = tf.Variable(5, dtype=tf.int64, trainable=False)
            self.variables = [weight, statistic, counter]
            self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
            self.ema = ExponentialMovingAverage(self.variables, DECAY)

        def update():
            weight.assign(weight * 1.1 + 0.01)
            statistic.assign(statistic * 0.9)
            counter.assign_add(2)
            self.step.assign_add(1)
            self.ema.update(self.step)

        @tf.function
        def updates(count):
            for _ in tf.range(count):
                strategy.run(update)

        self._updates = updates

    def update(self, count):
        self._updates(tf.constant(count))
        return self

    @property
    def state(self):
        return {"variables": self.variables, "step": self.step, "ema": self.ema}

    def values(self):
        return [variable.numpy() for variable in self.variables]

    def averages(self):
        with self.ema.swapped():
            return self.values()


def one_replica():
    return tf.distribute.OneDeviceStrategy("/cpu:0")


def mirrored():
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


every_strategy = pytest.mark.parametrize("strategy", [one_replica, mirrored])


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@every_strategy
def test_averages_are_those_of_the_formula(strategy):
    network = Network(strategy()).update(UPDATES)
    weight, statistic = np.array([1.0, -2.0]), np.array([0.3])
    average_weight, average_statistic = weight, statistic
    for t in range(1, UPDATES + 1):
        weight, statistic = weight * 1.1 + 0.01, statistic * 0.9
        decay = min(DECAY, (1 + t) / (10 + t))
        average_weight = decay * average_weight + (1 - decay) * weight
        average_statistic = decay * average_statistic + (1 - decay) * statistic
    # The decay is limited by the number of updates at first.
    assert 2 / 11 < DECAY < (1 + UPDATES) / (10 + UPDATES) + 0.2
    found = network.averages()
    np.testing.assert_allclose(found[0], average_weight, rtol=1e-5)
    np.testing.assert_allclose(found[1], average_statistic, rtol=1e-5)
    assert found[2] == 5 + 2 * UPDATES


def test_two_replicas_have_the_averages_of_one():
    network = Network(mirrored()).update(UPDATES)
    with network.ema.swapped():
        for variable in network.variables:
            first, second = (copy.numpy() for copy in variable.values)
            np.testing.assert_array_equal(first, second)
    assert_equal(network.averages(), Network(one_replica()).update(UPDATES).averages())


@every_strategy
def test_restored_averages_continue_bit_for_bit(strategy, tmp_path):
    network = Network(strategy()).update(5)
    path = tf.train.Checkpoint(**network.state).save(str(tmp_path / "checkpoint"))
    again = Network(strategy())
    tf.train.Checkpoint(**again.state).restore(path).assert_consumed()
    assert_equal(network.averages(), again.averages())
    assert_equal(network.update(4).averages(), again.update(4).averages())


@every_strategy
def test_swapping_twice_changes_nothing(strategy):
    network = Network(strategy()).update(5)
    before = network.values()
    averages = network.averages()
    assert not np.array_equal(before[0], averages[0])
    assert_equal(network.values(), before)
    assert_equal(network.averages(), averages)


@every_strategy
def test_an_exception_swaps_back(strategy):
    network = Network(strategy()).update(5)
    before = network.values()
    with pytest.raises(KeyError), network.ema.swapped():
        raise KeyError
    assert_equal(network.values(), before)
    # Training continues as if nothing had been evaluated.
    assert_equal(network.update(3).averages(), Network(strategy()).update(8).averages())


def test_an_update_compiles():
    network = Network(one_replica())
    compiled = tf.function(network.ema.update, jit_compile=True)
    network.variables[0].assign([3.0, 4.0])
    compiled(tf.constant(0, tf.int64))
    # The decay of update 0 is 1 / 10.
    np.testing.assert_allclose(network.averages()[0], [2.8, 3.4], rtol=1e-6)

"""Running sums of metrics over updates and replicas."""

from collections.abc import Mapping, Sequence

import numpy as np

from trainer.compat.keras import tf
from trainer.io.records import Value
from trainer.metrics.metric import Metric


class Accumulators(tf.Module):
    """The running sums of several metrics, over updates and replicas.

    Create it in a strategy's scope; `add` is called in a replica context.
    """

    def __init__(self, metrics: Sequence[Metric], num_classes: int):
        """Creates one variable per metric, with the shape that its `update` returns."""
        super().__init__()
        self._metrics = tuple(metrics)
        self._sums = {metric.name: _accumulator(metric, num_classes) for metric in metrics}

    def add(self, logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> None:
        """Adds one batch; see `Metric.update` for the shapes."""
        for metric in self._metrics:
            self._sums[metric.name].assign_add(metric.update(logits, targets, weights))

    def results(self) -> Mapping[str, Value]:
        """The value of each metric over what was added since the last `reset`."""
        return {
            metric.name: metric.finish(self._sums[metric.name].numpy().astype(np.float64))
            for metric in self._metrics
        }

    def reset(self) -> None:
        """Sets all sums to 0."""
        for variable in self._sums.values():
            variable.assign(tf.zeros_like(variable))


def _accumulator(metric: Metric, num_classes: int) -> tf.Variable:
    return summed_variable(metric.update(*_empty_batch(num_classes)).shape)


def zeros(metric: Metric, num_classes: int) -> tf.Tensor:
    """A float64 tensor of zeros with the shape that the metric's `update` returns."""
    return tf.zeros(metric.update(*_empty_batch(num_classes)).shape, tf.float64)


def _empty_batch(num_classes: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    return tf.zeros([1, num_classes]), tf.zeros([1], tf.int32), tf.zeros([1])


def summed_variable(shape: Sequence[int]) -> tf.Variable:
    """A float32 variable of zeros that each replica adds to; reading it sums the replicas.

    A checkpoint holds the sum only, so a resumed run adds in another order. Whole numbers, such as
    counts, are exact in any order.
    """
    return _on_read(shape, tf.VariableAggregation.SUM)


def equal_variable(shape: Sequence[int]) -> tf.Variable:
    """A float32 variable of zeros to which all replicas add the same values."""
    return _on_read(shape, tf.VariableAggregation.ONLY_FIRST_REPLICA)


def _on_read(shape: Sequence[int], aggregation: tf.VariableAggregation) -> tf.Variable:
    return tf.Variable(
        tf.zeros(shape),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=aggregation,
    )

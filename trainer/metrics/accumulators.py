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

    def __init__(self, metrics: Sequence[Metric], shapes: Sequence[Sequence[int]]):
        """Creates one variable per metric, with the shape that its `update` returns."""
        super().__init__()
        self._metrics = tuple(metrics)
        self._sums = {
            metric.name: summed_variable(shape)
            for metric, shape in zip(metrics, shapes, strict=True)
        }

    def add(self, sums: Sequence[tf.Tensor]) -> None:
        """Adds the results of `update` for one batch, in the order of the metrics."""
        for metric, added in zip(self._metrics, sums, strict=True):
            self._sums[metric.name].assign_add(added)

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

"""A metric as data: what is summed over examples, and how the sums become a figure."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf

Update = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Metric:
    """One row of the table of metrics.

    Attributes:
      name: as it appears in records and in `evaluate.best_metric`.
      update: maps logits `[B, C]` float32, targets `[B]` int32 and weights `[B]` float32 to a
        float32 tensor of fixed shape. The tensors of all batches and replicas are summed;
        examples of weight 0 must not contribute.
      finish: maps the sum, a float64 array, to the value of the metric.
      more_is_better: whether a larger value is better.
    """

    name: str
    update: Update
    finish: Callable[[NDArray[np.float64]], float]
    more_is_better: bool


def mean(sums: NDArray[np.float64]) -> float:
    """A weighted mean from `[weighted sum, sum of weights]`; 0 without examples."""
    return float(sums[0] / sums[1]) if sums[1] else 0.0


def weighted_sum(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """`[sum of values * weights, sum of weights]`, the input of `mean`; values are `[B]`."""
    return tf.stack([tf.reduce_sum(values * weights), tf.reduce_sum(weights)])


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

    def results(self) -> Mapping[str, float]:
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
    """A float32 variable of zeros that each replica adds to; reading it sums the replicas."""
    return tf.Variable(
        tf.zeros(shape),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
    )

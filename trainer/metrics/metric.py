"""A metric as data: what is summed over examples, and how the sums become a value.

TensorFlow is imported where it is used: a search reads the table of metrics in a process that
must leave the accelerators to its trials.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer.io.records import Value

if TYPE_CHECKING:
    from trainer.compat.keras import tf


@dataclasses.dataclass(frozen=True)
class Metric:
    """One row of the table of metrics.

    Attributes:
      name: as it appears in records and in `evaluate.best_metric`.
      update: maps logits `[B, C]` float32, targets `[B]` int32 and weights `[B]` float32 to a
        float32 tensor of fixed shape. The tensors of all batches and replicas are summed;
        examples of weight 0 must not contribute.
      finish: maps the sum, a float64 array, to the value of the metric: a number, or a list, such
        as one number per class.
      more_is_better: whether a larger value is better; None if the metric cannot be compared.
    """

    name: str
    update: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
    finish: Callable[[NDArray[np.float64]], Value]
    more_is_better: bool | None


def mean(sums: NDArray[np.float64]) -> float:
    """A weighted mean from `[weighted sum, sum of weights]`; 0 without examples."""
    return float(sums[0] / sums[1]) if sums[1] else 0.0


def weighted_sum(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """`[sum of values * weights, sum of weights]`, the input of `mean`; values are `[B]`."""
    from trainer.compat.keras import tf

    return tf.stack([tf.reduce_sum(values * weights), tf.reduce_sum(weights)])

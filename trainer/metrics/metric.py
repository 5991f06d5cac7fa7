"""A metric as data: what is summed over examples, and how the sums become a value.

TensorFlow is imported where it is used: a search reads the table of metrics in a process that
must leave the accelerators to its trials.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer.io.records import Value

if TYPE_CHECKING:
    from trainer.compat.keras import tf


Update = Callable[["tf.Tensor", "tf.Tensor", "tf.Tensor"], "tf.Tensor"]


class Of(enum.Enum):
    """What a metric compares with the targets.

    Attributes:
      OUTPUTS: the network's outputs: logits; of a regression the standardized values, with
        standardized targets.
      DECISIONS: logits from which the decision threshold is subtracted: the largest one, or those
        of labels from 0, are predicted.
      VALUES: of a regression, the values in their own unit.
    """

    OUTPUTS = "outputs"
    DECISIONS = "decisions"
    VALUES = "values"


@dataclasses.dataclass(frozen=True)
class Metric:
    """One row of the table of metrics.

    Attributes:
      name: as it appears in records and in `evaluate.best_metric`.
      update: maps outputs `[B, C]` float32, targets and weights `[B]` float32 to a float32 tensor
        of fixed shape. Targets are int32 class numbers `[B]`; float32 `[B, C]` for several labels
        or a regression. The tensors of all batches and replicas are summed; examples of weight 0
        must not contribute.
      finish: maps the sum, a float64 array, to the value of the metric: a number, or a list, such
        as one number per class.
      more_is_better: whether a larger value is better; None if the metric cannot be compared.
      of: which outputs `update` receives.
    """

    name: str
    update: Update
    finish: Callable[[NDArray[np.float64]], Value]
    more_is_better: bool | None
    of: Of = Of.OUTPUTS


def mean(sums: NDArray[np.float64]) -> float:
    """A weighted mean from `[weighted sum, sum of weights]`; 0 without examples."""
    return float(sums[0] / sums[1]) if sums[1] else 0.0


def weighted_sum(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """`[sum of values * weights, sum of weights]`, the input of `mean`; values are `[B]`."""
    from trainer.compat.keras import tf

    return tf.stack([tf.reduce_sum(values * weights), tf.reduce_sum(weights)])

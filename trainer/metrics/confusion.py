"""Metrics of right and wrong decisions: precision, recall and F1, per class and summarized."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer.metrics.metric import Metric, Of, Update

if TYPE_CHECKING:
    from trainer.compat.keras import tf


@dataclasses.dataclass(frozen=True)
class Counts:
    """Numbers of examples per class or label, float64 `[C]` each.

    Attributes:
      true_positives: of the class, and predicted to be.
      predicted: predicted to be of the class.
      actual: of the class.
    """

    true_positives: NDArray[np.float64]
    predicted: NDArray[np.float64]
    actual: NDArray[np.float64]


# From the counts to one value per class `[C]`.
OfClasses = Callable[[Counts], NDArray[np.float64]]


def precision(counts: Counts) -> NDArray[np.float64]:
    """Of the examples predicted to be of a class, the share that is; 0 without predictions."""
    return _ratio(counts.true_positives, counts.predicted)


def recall(counts: Counts) -> NDArray[np.float64]:
    """Of the examples of a class, the share that is predicted; 0 without examples."""
    return _ratio(counts.true_positives, counts.actual)


def f1(counts: Counts) -> NDArray[np.float64]:
    """The harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN)."""
    return _ratio(2 * counts.true_positives, counts.predicted + counts.actual)


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(numerator, denominator, np.zeros_like(numerator), where=denominator > 0)


def mean_over_present(values: NDArray[np.float64], counts: Counts) -> float:
    """The unweighted mean over the classes that have examples; 0 without any."""
    present = counts.actual > 0
    return float(values[present].mean()) if present.any() else 0.0


def rows(
    update: Update,
    counts_of: Callable[[NDArray[np.float64]], Counts],
    summarize: Callable[[NDArray[np.float64], Counts], float],
) -> tuple[Metric, ...]:
    """Precision, recall and F1: a summary over the classes, and the values of all classes.

    Args:
      update: of the metrics, what is summed.
      counts_of: from the sums to counts.
      summarize: from the values of all classes to one number.
    """

    def pair(name: str, of_classes: OfClasses) -> tuple[Metric, Metric]:
        def summary(sums: NDArray[np.float64]) -> float:
            counts = counts_of(sums)
            return summarize(of_classes(counts), counts)

        def values(sums: NDArray[np.float64]) -> list[float]:
            listed: list[float] = of_classes(counts_of(sums)).tolist()
            return listed

        return (
            Metric(name, update, summary, more_is_better=True, of=Of.DECISIONS),
            Metric(f"{name}_per_class", update, values, more_is_better=None, of=Of.DECISIONS),
        )

    return (*pair("precision", precision), *pair("recall", recall), *pair("f1", f1))


def _confusion_matrix(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Numbers of examples `[C, C]` by class (row) and predicted class (column)."""
    from trainer.compat.keras import tf

    classes = logits.shape[-1]
    index = targets * classes + tf.argmax(logits, -1, tf.int32)
    counts = tf.math.unsorted_segment_sum(weights, index, classes * classes)
    return tf.reshape(counts, [classes, classes])


def _counts_of_matrix(matrix: NDArray[np.float64]) -> Counts:
    return Counts(np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1))


def _of_two_or_more(values: NDArray[np.float64], counts: Counts) -> float:
    """The value of the second of two classes; of more, the mean over those with examples."""
    return float(values[1]) if len(values) == 2 else mean_over_present(values, counts)


METRICS = (
    Metric(
        "confusion_matrix",
        _confusion_matrix,
        lambda matrix: matrix.tolist(),
        more_is_better=None,
        of=Of.DECISIONS,
    ),
    *rows(_confusion_matrix, _counts_of_matrix, _of_two_or_more),
)

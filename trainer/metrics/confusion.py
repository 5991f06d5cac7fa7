"""Metrics of the confusion matrix: precision, recall and F1, per class and their means."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer.metrics.metric import Metric

if TYPE_CHECKING:
    from trainer.compat.keras import tf

# One value per class `[C]` of a confusion matrix `[C, C]`.
OfClasses = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _confusion_matrix(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Numbers of examples `[C, C]` by class (row) and predicted class (column)."""
    from trainer.compat.keras import tf

    classes = logits.shape[-1]
    index = targets * classes + tf.argmax(logits, -1, tf.int32)
    counts = tf.math.unsorted_segment_sum(weights, index, classes * classes)
    return tf.reshape(counts, [classes, classes])


def _precision(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the examples predicted to be of a class, the share that is; 0 without predictions."""
    return _ratio(np.diag(matrix), matrix.sum(axis=0))


def _recall(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the examples of a class, the share that is predicted; 0 without examples."""
    return _ratio(np.diag(matrix), matrix.sum(axis=1))


def _f1(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN)."""
    return _ratio(2 * np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1))


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(numerator, denominator, np.zeros_like(numerator), where=denominator > 0)


def _mean_over_classes(of_classes: OfClasses, matrix: NDArray[np.float64]) -> float:
    """The unweighted mean over the classes that have examples; 0 without any."""
    present = matrix.sum(axis=1) > 0
    return float(of_classes(matrix)[present].mean()) if present.any() else 0.0


def _as_list(of_classes: OfClasses, matrix: NDArray[np.float64]) -> list[float]:
    values: list[float] = of_classes(matrix).tolist()
    return values


def _rows(name: str, of_classes: OfClasses) -> tuple[Metric, Metric]:
    """The mean over the classes, and the values of all classes in the order of their numbers."""
    mean = functools.partial(_mean_over_classes, of_classes)
    values = functools.partial(_as_list, of_classes)
    return (
        Metric(name, _confusion_matrix, mean, more_is_better=True),
        Metric(f"{name}_per_class", _confusion_matrix, values, more_is_better=None),
    )


METRICS = (
    Metric("confusion_matrix", _confusion_matrix, lambda m: m.tolist(), more_is_better=None),
    *_rows("precision", _precision),
    *_rows("recall", _recall),
    *_rows("f1", _f1),
)

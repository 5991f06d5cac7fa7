"""Metrics of the predicted probabilities: areas under curves, and calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer.metrics.metric import Metric

if TYPE_CHECKING:
    from trainer.compat.keras import tf

# Thresholds of the curves; the error of the area under ROC is below 1 / _THRESHOLDS.
_THRESHOLDS = 1000
# As in Guo et al. (2017).
_CALIBRATION_BINS = 15


def score_histograms(
    probabilities: tf.Tensor, is_class: tf.Tensor, weights: tf.Tensor, bins: int = _THRESHOLDS
) -> tf.Tensor:
    """Histograms `[2, C, bins]` of each class' probability, for its negatives and positives.

    Args:
      probabilities: float32 `[B, C]`.
      is_class: int32 `[B, C]`, 1 where the example is of the class.
      weights: float32 `[B]`.
      bins: of equal width in [0, 1].
    """
    from trainer.compat.keras import tf

    classes = probabilities.shape[-1]
    # A flat index per (example, class): positive, class, bin.
    index = (is_class * classes + tf.range(classes)[None, :]) * bins + _bin(probabilities, bins)
    counts = tf.math.unsorted_segment_sum(
        tf.broadcast_to(weights[:, None], tf.shape(index)), index, 2 * classes * bins
    )
    return tf.reshape(counts, [2, classes, bins])


def _histograms_of_classes(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    from trainer.compat.keras import tf

    is_class = tf.one_hot(targets, logits.shape[-1], dtype=tf.int32)
    return score_histograms(tf.nn.softmax(tf.cast(logits, tf.float32)), is_class, weights)


def area_under_roc(histograms: NDArray[np.float64]) -> float:
    """Mean over classes of P(score of a positive > score of a negative), ties counted half.

    Classes without positives or without negatives are left out; 0.5 if no class remains.
    Source: Hand and Till (2001) for the mean over classes, one against the rest.
    """
    negatives, positives = histograms
    below = np.cumsum(negatives, axis=1) - negatives
    wins = (positives * (below + negatives / 2)).sum(axis=1)
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    defined = pairs > 0
    return float((wins[defined] / pairs[defined]).mean()) if defined.any() else 0.5


def average_precision(histograms: NDArray[np.float64]) -> float:
    """Mean over classes of Σ_n (R_n − R_{n−1}) P_n, the area under precision and recall.

    P_n and R_n are precision and recall at the n-th threshold, the highest first. Classes without
    positives are left out; 0 if no class remains.
    """
    negatives, positives = (np.cumsum(each[:, ::-1], axis=1) for each in histograms)
    total = positives[:, -1]
    predicted = positives + negatives
    precision = np.divide(positives, predicted, np.zeros_like(predicted), where=predicted > 0)
    steps = np.diff(positives, axis=1, prepend=0.0)
    defined = total > 0
    areas = (steps * precision).sum(axis=1)[defined] / total[defined]
    return float(areas.mean()) if defined.any() else 0.0


def _average_precision_of_classes(histograms: NDArray[np.float64]) -> float:
    """That of the second of two classes; of more, the mean over the classes."""
    return average_precision(histograms[:, 1:] if histograms.shape[1] == 2 else histograms)


def _calibration_bins(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sums `[bins, 3]` by the largest probability: examples, correct ones, that probability."""
    from trainer.compat.keras import tf

    confidence = tf.reduce_max(tf.nn.softmax(tf.cast(logits, tf.float32)), axis=-1)
    is_correct = tf.cast(tf.equal(tf.argmax(logits, -1, tf.int32), targets), tf.float32)
    sums = tf.stack([weights, weights * is_correct, weights * confidence], axis=1)
    return tf.math.unsorted_segment_sum(
        sums, _bin(confidence, _CALIBRATION_BINS), _CALIBRATION_BINS
    )


def _expected_calibration_error(bins: NDArray[np.float64]) -> float:
    """ECE = Σ_m |B_m| / n · |acc(B_m) − conf(B_m)|; Guo et al. (2017), equation 3."""
    examples, correct, confidence = bins.T
    return float(np.abs(correct - confidence).sum() / max(examples.sum(), 1.0))


def _bin(probabilities: tf.Tensor, bins: int) -> tf.Tensor:
    """The number of each probability's bin, int32 in [0, bins)."""
    from trainer.compat.keras import tf

    return tf.minimum(tf.cast(probabilities * bins, tf.int32), bins - 1)


METRICS = (
    Metric("auc", _histograms_of_classes, area_under_roc, more_is_better=True),
    Metric("auc_pr", _histograms_of_classes, _average_precision_of_classes, more_is_better=True),
    Metric(
        "calibration_error", _calibration_bins, _expected_calibration_error, more_is_better=False
    ),
)

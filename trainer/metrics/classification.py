"""Metrics of classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer.metrics.metric import Metric, mean, weighted_sum

if TYPE_CHECKING:
    from trainer.compat.keras import tf

# Thresholds of the ROC curve; the error of the area is below 1 / _BINS.
_BINS = 1000


def _accuracy(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Examples whose largest logit is that of their class."""
    from trainer.compat.keras import tf

    hits = tf.equal(tf.argmax(logits, -1, tf.int32), targets)
    return weighted_sum(tf.cast(hits, tf.float32), weights)


def _loss(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Cross-entropy −log softmax(logits)[target], nats, without label smoothing."""
    from trainer.compat.keras import tf

    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    return weighted_sum(losses, weights)


def _score_histograms(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Histograms `[2, C, bins]` of each class' probability, for its negatives and positives."""
    from trainer.compat.keras import tf

    classes = logits.shape[-1]
    scores = tf.nn.softmax(tf.cast(logits, tf.float32))
    bins = tf.minimum(tf.cast(scores * _BINS, tf.int32), _BINS - 1)
    is_class = tf.one_hot(targets, classes, dtype=tf.int32)
    # A flat index per (example, class): positive, class, bin.
    index = (is_class * classes + tf.range(classes)[None, :]) * _BINS + bins
    counts = tf.math.unsorted_segment_sum(
        tf.broadcast_to(weights[:, None], tf.shape(index)), index, 2 * classes * _BINS
    )
    return tf.reshape(counts, [2, classes, _BINS])


def _area_under_roc(histograms: NDArray[np.float64]) -> float:
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


LOSS = Metric("loss", _loss, mean, more_is_better=False)

METRICS = (
    LOSS,
    Metric("accuracy", _accuracy, mean, more_is_better=True),
    Metric("auc", _score_histograms, _area_under_roc, more_is_better=True),
)

# Reported in training beside the metrics; whether more is better, None where neither is.
TRAINING: Mapping[str, bool | None] = {
    "gradient_norm": None,
    "learning_rate": None,
    "examples_per_second": True,
    "updates_per_second": True,
}

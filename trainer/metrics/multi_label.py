"""Metrics of multi-label targets: each label is present or absent on its own.

Targets are float32 `[B, L]`, 0 or 1. A label is predicted if its logit is at least 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer.metrics import confusion, probabilities
from trainer.metrics.metric import Metric, Of, mean, weighted_sum

if TYPE_CHECKING:
    from trainer.compat.keras import tf


def _loss(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy, the mean over the labels, nats."""
    from trainer.compat.keras import tf

    losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
    return weighted_sum(tf.reduce_mean(losses, axis=-1), weights)


def _accuracy(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The share of an example's labels that are predicted correctly."""
    from trainer.compat.keras import tf

    is_right = tf.cast(_predicted(logits) == targets, tf.float32)
    return weighted_sum(tf.reduce_mean(is_right, axis=-1), weights)


def _exact_match(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Examples of which all labels are predicted correctly."""
    from trainer.compat.keras import tf

    is_right = tf.reduce_all(_predicted(logits) == targets, axis=-1)
    return weighted_sum(tf.cast(is_right, tf.float32), weights)


def _counts(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """True positives, predicted and actual examples of each label, `[3, L]`."""
    from trainer.compat.keras import tf

    predicted = _predicted(logits)
    counted = tf.stack([predicted * targets, predicted, targets])
    return tf.reduce_sum(counted * weights[None, :, None], axis=1)


def _histograms(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    from trainer.compat.keras import tf

    is_label = tf.cast(targets, tf.int32)
    return probabilities.score_histograms(tf.sigmoid(logits), is_label, weights)


def _predicted(logits: tf.Tensor) -> tf.Tensor:
    from trainer.compat.keras import tf

    return tf.cast(logits >= 0, tf.float32)


def _counts_of(sums: NDArray[np.float64]) -> confusion.Counts:
    return confusion.Counts(*sums)


LOSS = Metric("loss", _loss, mean, more_is_better=False)

METRICS = (
    LOSS,
    Metric("accuracy", _accuracy, mean, more_is_better=True, of=Of.DECISIONS),
    Metric("exact_match", _exact_match, mean, more_is_better=True, of=Of.DECISIONS),
    *confusion.rows(_counts, _counts_of, confusion.mean_over_present),
    Metric("auc", _histograms, probabilities.area_under_roc, more_is_better=True),
    Metric("auc_pr", _histograms, probabilities.average_precision, more_is_better=True),
)

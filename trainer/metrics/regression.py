"""Metrics of regressions, in the unit of the target; means over several values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer.metrics.metric import Metric, Of, mean, weighted_sum

if TYPE_CHECKING:
    from trainer.compat.keras import tf


def _loss(outputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Squared error of standardized values: 1 for a network that predicts the mean."""
    from trainer.compat.keras import tf

    return weighted_sum(tf.reduce_mean(tf.square(outputs - targets), axis=-1), weights)


def _errors(values: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sums `[2, T]` of absolute and of squared errors, and the sum of weights in a third row."""
    from trainer.compat.keras import tf

    errors = values - targets
    ones = tf.ones_like(errors)
    summed = tf.stack([tf.abs(errors), tf.square(errors), ones])
    return tf.reduce_sum(summed * weights[None, :, None], axis=1)


def _moments(outputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sums `[4, T]` of squared errors, targets, squared targets and weights.

    Standardized targets, because sums of large ones would cancel.
    """
    from trainer.compat.keras import tf

    summed = tf.stack(
        [tf.square(outputs - targets), targets, tf.square(targets), tf.ones_like(targets)]
    )
    return tf.reduce_sum(summed * weights[None, :, None], axis=1)


def _mean_absolute_error(sums: NDArray[np.float64]) -> float:
    return float((sums[0] / np.maximum(sums[2], 1)).mean())


def _root_mean_squared_error(sums: NDArray[np.float64]) -> float:
    return float(np.sqrt(sums[1] / np.maximum(sums[2], 1)).mean())


def _determination(sums: NDArray[np.float64]) -> float:
    """R² = 1 − Σ (y − ŷ)² / Σ (y − ȳ)², the mean over the values; 0 if a target is constant."""
    residual, total, squares, count = sums
    variation = squares - np.square(total) / np.maximum(count, 1)
    ratio = np.divide(residual, variation, np.ones_like(residual), where=variation > 0)
    return float((1 - ratio).mean())


LOSS = Metric("loss", _loss, mean, more_is_better=False)

METRICS = (
    LOSS,
    Metric("mae", _errors, _mean_absolute_error, more_is_better=False, of=Of.VALUES),
    Metric("rmse", _errors, _root_mean_squared_error, more_is_better=False, of=Of.VALUES),
    Metric("r2", _moments, _determination, more_is_better=True),
)

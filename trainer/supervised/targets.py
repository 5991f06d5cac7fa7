"""What a network predicts: classes, labels or values, and how metrics and users see them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.signature import CLASSIFICATION, MULTI_LABEL, REGRESSION, Signature
from trainer.metrics.metric import Metric, Of
from trainer.supervised.losses import standardize

_SMALLEST = 1e-6
# The probability from which a label is predicted if no threshold was chosen.
_HALF = 0.5


def metric_sums(
    metrics: Sequence[Metric],
    signature: Signature,
    outputs: tf.Tensor,
    targets: tf.Tensor,
    weights: tf.Tensor,
) -> tuple[tf.Tensor, ...]:
    """What each metric adds up for a batch.

    Args:
      metrics: of the target.
      signature: of the data set.
      outputs: float32 `[B, C]`, of the network.
      targets: as stored.
      weights: float32 `[B]`.
    """
    return tuple(
        metric.update(*_seen_by(metric, signature, outputs, targets), weights) for metric in metrics
    )


def sum_shapes(metrics: Sequence[Metric], signature: Signature) -> list[tf.TensorShape]:
    """The shape of each of the `metric_sums`."""
    outputs = len(signature.classes)
    targets = (
        tf.zeros([1], tf.int32) if signature.target == CLASSIFICATION else tf.zeros([1, outputs])
    )
    sums = metric_sums(metrics, signature, tf.zeros([1, outputs]), targets, tf.zeros([1]))
    return [each.shape for each in sums]


def _seen_by(
    metric: Metric, signature: Signature, outputs: tf.Tensor, targets: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The outputs and targets that a metric compares, see `Of`."""
    if signature.target != REGRESSION:
        seen = decisions(outputs, signature) if metric.of is Of.DECISIONS else outputs
        return seen, targets
    if metric.of is Of.VALUES:
        return values(outputs, signature), targets
    return outputs, standardize(targets, signature.target_offset, signature.target_scale)


def decisions(logits: tf.Tensor, signature: Signature) -> tf.Tensor:
    """Logits from which the thresholds are subtracted.

    p ≥ t is the same as logit p ≥ log t / (1 − t). Of two classes, the logit of the second class is
    the difference of both logits.
    """
    if not signature.thresholds:
        return logits
    shifts = [math.log(t / (1 - t)) for t in signature.thresholds]
    if signature.target == CLASSIFICATION:
        shifts = [0.0, *shifts]
    return logits - tf.constant(shifts, tf.float32)


def values(outputs: tf.Tensor, signature: Signature) -> tf.Tensor:
    """The values of a regression in their own unit, float32 `[B, T]`."""
    scale = tf.constant(signature.target_scale, tf.float32)
    return outputs / scale + tf.constant(signature.target_offset, tf.float32)


def predictions(outputs: tf.Tensor, signature: Signature) -> tf.Tensor:
    """What is reported of outputs `[B, C]`: probabilities, or values in their own unit."""
    if signature.target == CLASSIFICATION:
        return tf.nn.softmax(outputs)
    if signature.target == MULTI_LABEL:
        return tf.sigmoid(outputs)
    return values(outputs, signature)


def decided(predicted: tf.Tensor, signature: Signature) -> tf.Tensor:
    """What is decided by probabilities float32 `[B, C]`.

    Returns:
      The number of the predicted class, int32 `[B]`; of a multi-label target whether each label is
      predicted, bool `[B, C]`.
    """
    if signature.target == MULTI_LABEL:
        thresholds = signature.thresholds or (_HALF,) * len(signature.classes)
        return predicted >= tf.constant(thresholds, tf.float32)
    if signature.thresholds:
        is_second = predicted[:, 1] >= tf.constant(signature.thresholds[0], tf.float32)
        return tf.cast(is_second, tf.int32)
    return tf.argmax(predicted, axis=1, output_type=tf.int32)


def describe(predicted: NDArray[np.float32], signature: Signature) -> Mapping[str, Any]:
    """The JSON of a prediction `[C]`, a row of `predictions`."""
    numbers = dict(zip(signature.classes, map(float, predicted), strict=True))
    if signature.target == REGRESSION:
        if len(numbers) == 1:
            return {"value": float(predicted[0])}
        return {"values": numbers}
    if signature.target == MULTI_LABEL:
        thresholds = signature.thresholds or (_HALF,) * len(predicted)
        labels = [
            name
            for name, p, threshold in zip(signature.classes, predicted, thresholds, strict=True)
            if p >= threshold
        ]
        return {"labels": labels, "probabilities": numbers}
    best = (
        int(predicted[1] >= signature.thresholds[0])
        if signature.thresholds
        else int(np.argmax(predicted))
    )
    return {
        "class": signature.classes[best],
        "probability": float(predicted[best]),
        "probabilities": numbers,
    }


def baseline_outputs(signature: Signature, targets: NDArray[Any]) -> NDArray[np.float32]:
    """The outputs `[C]` of the best predictor that sees no features.

    They are the frequencies of classes or labels as logits, or the mean of the values.

    Args:
      signature: of the data set.
      targets: of the training split.
    """
    outputs = len(signature.classes)
    if signature.target == REGRESSION:
        return np.zeros(outputs, np.float32)
    if signature.target == MULTI_LABEL:
        p = np.clip(targets.mean(axis=0, dtype=np.float64), _SMALLEST, 1 - _SMALLEST)
        return np.log(p / (1 - p)).astype(np.float32)
    frequencies = np.bincount(targets, minlength=outputs) / len(targets)
    return np.log(np.maximum(frequencies, _SMALLEST)).astype(np.float32)

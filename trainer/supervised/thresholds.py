"""The decision threshold that is best on the validation split."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.signature import CLASSIFICATION, MULTI_LABEL, Signature
from trainer.errors import UserError
from trainer.metrics.metric import Metric
from trainer.metrics.probabilities import score_histograms

# Thresholds are multiples of 1 / _BINS.
_BINS = 10_000


def check(criterion: str, signature: Signature) -> None:
    """Checks that decisions have a threshold: there are two classes, or labels.

    Raises:
      UserError: if not.
    """
    two_classes = signature.target == CLASSIFICATION and len(signature.classes) == 2
    if criterion and not (two_classes or signature.target == MULTI_LABEL):
        raise UserError(
            "evaluate.threshold needs two classes or a multi_label target. Received: "
            f"{signature.target} with {len(signature.classes)} outputs"
        )


def scores(signature: Signature) -> Metric:
    """A metric that is the histograms `[2, C, bins]` of the probabilities.

    C is 1 for two classes, whose second one is the positive, and else the number of labels.
    """

    def update(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        if signature.target == CLASSIFICATION:
            probabilities, is_positive = tf.nn.softmax(logits)[:, 1:], targets[:, None]
        else:
            probabilities, is_positive = tf.sigmoid(logits), tf.cast(targets, tf.int32)
        return score_histograms(probabilities, is_positive, weights, _BINS)

    return Metric("scores", update, lambda sums: sums.tolist(), more_is_better=None)


def choose(
    histograms: NDArray[np.float64], criterion: str, costs: Sequence[float]
) -> tuple[float, ...]:
    """The threshold t of each label, for which a probability p >= t is a positive.

    Of several best ones it is the one nearest to 0.5.

    Args:
      histograms: of `scores`.
      criterion: accuracy, balanced_accuracy, f1 or cost, as in `evaluate.threshold`.
      costs: of a false positive and a false negative, for the criterion cost.
    """
    return tuple(
        _best(negatives, positives, criterion, costs)
        for negatives, positives in zip(*histograms, strict=True)
    )


def _best(
    negatives: NDArray[np.float64],
    positives: NDArray[np.float64],
    criterion: str,
    costs: Sequence[float],
) -> float:
    bins = len(negatives)
    # False and true positives at the thresholds 1 / bins, …, (bins - 1) / bins.
    fp, tp = (np.cumsum(each[::-1])[::-1][1:] for each in (negatives, positives))
    tn, fn = negatives.sum() - fp, positives.sum() - tp
    if criterion == "accuracy":
        score = tp + tn
    elif criterion == "balanced_accuracy":
        score = tp / max(positives.sum(), 1.0) + tn / max(negatives.sum(), 1.0)
    elif criterion == "f1":
        score = 2 * tp / np.maximum(2 * tp + fp + fn, 1.0)
    else:
        score = -(costs[0] * fp + costs[1] * fn)
    best = np.flatnonzero(score == score.max()) + 1
    return float(best[np.argmin(np.abs(best - bins / 2))]) / bins

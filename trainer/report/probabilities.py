"""Charts of predicted probabilities: precision over recall, and calibration."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.pages import charts
from trainer.pages.charts import Chart, Series

# Lines that can be told apart.
_MOST_LINES = 10
_MOST_POINTS = 200
# As in the metric calibration_error.
_BINS = 15
_UNIT = (-0.02, 1.02)


def precision_recall(
    probabilities: NDArray[np.float32], is_class: NDArray[np.bool_], names: Sequence[str]
) -> Chart:
    """Precision over recall of classes against the rest, or of labels.

    With many classes only the micro average is drawn, over all pairs of an example and a class.

    Args:
      probabilities: `[N, C]`.
      is_class: `[N, C]`.
      names: of the classes.
    """
    title = "Precision and recall"
    if len(names) > _MOST_LINES:
        lines = [("all classes", probabilities.ravel(), is_class.ravel())]
        title += ", micro average"
    else:
        lines = list(zip(names, probabilities.T, is_class.T, strict=True))
    series = [
        Series(name, *recall_and_precision(each, positive))
        for name, each, positive in lines
        if positive.any()
    ]
    return charts.plot(title, "recall", "precision", series, x_range=_UNIT, y_range=_UNIT)


def recall_and_precision(
    scores: NDArray[np.float32], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall and precision at each threshold, the highest first; of many, at some hundred.

    Args:
      scores: `[N]`.
      positive: `[N]`, at least one.
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    # Examples of equal scores are predicted together.
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    recall, precision = hits[last] / hits[-1], hits[last] / (last + 1)
    if len(last) <= _MOST_POINTS:
        return recall, precision
    # Evenly spaced in recall, since nearly all thresholds are those of negatives if these prevail.
    kept = np.unique(np.searchsorted(recall, np.linspace(recall[0], 1, _MOST_POINTS)))
    return recall[kept], precision[kept]


def calibration(
    probabilities: NDArray[np.float32], happened: NDArray[np.bool_], x_title: str, y_title: str
) -> Chart:
    """How often what was predicted with a probability happened (Guo et al., 2017).

    Args:
      probabilities: `[N]`.
      happened: `[N]`.
      x_title: what the probability is of.
      y_title: what happened.
    """
    numbers = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
    count = np.bincount(numbers, minlength=_BINS)
    used = count > 0
    mean, share = (
        np.bincount(numbers, values.astype(np.float64), _BINS)[used] / count[used]
        for values in (probabilities, happened)
    )
    texts = [f"{each} examples" for each in count[used]]
    series = [Series("network", mean, share, mode="lines+markers", texts=texts)]
    return charts.plot("Calibration", x_title, y_title, series, True, x_range=_UNIT, y_range=_UNIT)

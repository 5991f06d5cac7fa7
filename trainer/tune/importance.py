"""The importance of each hyperparameter for the score."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.tune.space import Choice, Dimension, Integers, LogUniform, to_text
from trainer.tune.trial import Trial

# With fewer trials a forest fits only noise.
_MIN_TRIALS = 8
_NOT_SET = -0.1


def importance(trials: Sequence[Trial], space: Sequence[Dimension]) -> dict[str, float]:
    """Returns the permutation importance of each dimension, normalized to sum to 1.

    A random forest predicts the rank of the score from the values; the importance of a
    dimension is the loss of accuracy when its values are shuffled (Breiman, 2001). Empty if
    there are too few trials or all scores are equal.

    Args:
      trials: trials with scores.
      space: the dimensions of the search.
    """
    scores = np.array([trial.score for trial in trials], float)
    if len(trials) < _MIN_TRIALS or np.ptp(scores) == 0:
        return {}
    # Importing scikit-learn takes a second.
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    features = np.array(
        [[position(d, trial.values.get(d.path)) for d in space] for trial in trials]
    )
    # Ranks, so that a diverged trial does not dominate.
    ranks: NDArray[Any] = scores.argsort().argsort().astype(float)
    forest = RandomForestRegressor(200, random_state=0).fit(features, ranks)
    shuffled = permutation_importance(forest, features, ranks, n_repeats=10, random_state=0)
    drops = np.maximum(shuffled.importances_mean, 0)
    total = drops.sum()
    if not total:
        return {}
    fractions = {d.path: float(drop / total) for d, drop in zip(space, drops, strict=True)}
    return dict(sorted(fractions.items(), key=lambda item: -item[1]))


def position(dimension: Dimension, value: Any) -> float:
    """Returns the position of a value in its dimension, 0 (low) to 1 (high).

    The values of the baseline may lie outside: a number is then moved to the nearest end. A
    position < 0 stands for none of the choices, or for a value that is not set.
    """
    if value is None:
        return _NOT_SET
    if isinstance(dimension, Choice):
        names = list(map(to_text, dimension.values))
        if to_text(value) not in names:
            return _NOT_SET
        return names.index(to_text(value)) / max(1, len(names) - 1)
    low, high = float(dimension.low), float(dimension.high)
    value = min(max(value, low), high)
    if isinstance(dimension, LogUniform) or (isinstance(dimension, Integers) and dimension.log):
        return float(np.log(value / low) / np.log(high / low))
    return (value - low) / (high - low)

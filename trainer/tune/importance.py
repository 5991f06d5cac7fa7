"""How much each dimension had to do with the score."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.tune.space import Choice, Dimension, Integers, LogUniform, text
from trainer.tune.study import Trial

# With fewer trials a forest only learns their noise.
_FEWEST = 8
_ABSENT = -0.1


def importance(trials: Sequence[Trial], space: Sequence[Dimension]) -> dict[str, float]:
    """Share of the score's variation that each dimension explains; they sum to 1.

    A random forest learns the score from the values; a dimension's share is what shuffling
    its values takes from the forest's fit (Breiman, 2001). Empty where trials are too few or
    all alike.

    Args:
      trials: with scores.
      space: the dimensions.
    """
    scores = np.array([trial.score for trial in trials], float)
    if len(trials) < _FEWEST or np.ptp(scores) == 0:
        return {}
    # scikit-learn takes a second to load.
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    features = np.array([[place(d, trial.values.get(d.path)) for d in space] for trial in trials])
    # Ranks: one diverged trial must not drown all others.
    ranks: NDArray[Any] = scores.argsort().argsort().astype(float)
    forest = RandomForestRegressor(200, random_state=0).fit(features, ranks)
    shuffled = permutation_importance(forest, features, ranks, n_repeats=10, random_state=0)
    drops = np.maximum(shuffled.importances_mean, 0)
    total = drops.sum()
    if not total:
        return {}
    shares = {d.path: float(drop / total) for d, drop in zip(space, drops, strict=True)}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def place(dimension: Dimension, value: Any) -> float:
    """Where a value lies in its dimension: 0 is the low end, 1 the high; below 0: it has none."""
    if value is None:
        return _ABSENT
    if isinstance(dimension, Choice):
        number = list(map(text, dimension.values)).index(text(value))
        return number / max(1, len(dimension.values) - 1)
    low, high = float(dimension.low), float(dimension.high)
    if isinstance(dimension, LogUniform) or (isinstance(dimension, Integers) and dimension.log):
        return float(np.log(value / low) / np.log(high / low))
    return (value - low) / (high - low)

"""An evaluation as a table of at most 80 columns."""

from collections.abc import Sequence

import numpy as np

from trainer.supervised.evaluate import Evaluated

_WIDTH = 80
_MOST_PAIRS = 10
_MATRIX = "confusion_matrix"
# Of a name of a class in a list of pairs.
_NAME = 28


def text(evaluated: Evaluated) -> str:
    """The metrics that are numbers with their intervals, and the confusion matrix if there is one.

    A matrix that is too wide is replaced by the pairs of classes that are most often confused.
    """
    lines = [f"{'metric':<20}{'value':>12}   95 % interval"]
    for name, value in evaluated.metrics.items():
        if isinstance(value, int | float):
            interval = evaluated.intervals.get(name)
            shown = f"   {interval[0]:.4g} – {interval[1]:.4g}" if interval else ""
            lines.append(f"{name[:20]:<20}{value:>12.4g}{shown}")
    if _MATRIX in evaluated.metrics:
        matrix = np.array(evaluated.metrics[_MATRIX], np.int64)
        whole = _matrix(matrix, evaluated.classes)
        fits = max(map(len, whole)) <= _WIDTH
        lines += ["", *(whole if fits else _pairs(matrix, evaluated.classes))]
    return "\n".join(lines)


def _matrix(matrix: np.ndarray, classes: Sequence[str]) -> list[str]:
    first = max(len("class"), *map(len, classes))
    width = max(len(str(matrix.max())), *map(len, classes)) + 1
    rows = [
        f"{name:<{first}}" + "".join(f"{count:>{width}}" for count in row)
        for name, row in zip(classes, matrix.tolist(), strict=True)
    ]
    header = f"{'class':<{first}}" + "".join(f"{name:>{width}}" for name in classes)
    return ["examples of each class (row) by predicted class (column)", header, *rows]


def _pairs(matrix: np.ndarray, classes: Sequence[str]) -> list[str]:
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    rows = [
        f"{classes[row][:_NAME]:<{_NAME}}  {classes[column][:_NAME]:<{_NAME}}"
        f"{wrong[row, column]:>10}"
        for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[row, column]
    ]
    return [f"{'class':<{_NAME}}  {'most often predicted as':<{_NAME}}{'examples':>10}", *rows]

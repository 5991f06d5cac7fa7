"""Sections for classes and for labels: right and wrong decisions, and their probabilities."""

import numpy as np
from numpy.typing import NDArray

from trainer.metrics.confusion import Counts, f1, precision, recall
from trainer.pages import charts
from trainer.pages.page import Group, Html, Part, Section, table, text
from trainer.report import probabilities
from trainer.report.predictions import Predictions

# More cells cannot be told apart.
_LARGEST_MATRIX = 40
_CONFUSIONS = 20


def of_classes(found: Predictions) -> list[Section]:
    """Confusion matrix, precision, recall and calibration of a classification."""
    names = found.signature.classes
    counts = confusion_matrix(found)
    totals = Counts(np.diag(counts), counts.sum(axis=0), counts.sum(axis=1))
    is_class = found.targets[:, None] == np.arange(len(names))
    if len(names) == 2:
        calibration = probabilities.calibration(
            found.predicted[:, 1],
            is_class[:, 1],
            f"predicted probability of {charts.shortened(names[1])}",
            "share of examples",
        )
    else:
        calibration = probabilities.calibration(
            found.predicted.max(axis=1),
            found.outputs.argmax(axis=1) == found.targets,
            "probability of the most probable class",
            "accuracy",
        )
    curves = Group([probabilities.precision_recall(found.predicted, is_class, names), calibration])
    return [
        Section("Confusion matrix", _confusions(found, counts)),
        Section("Classes", [_per_class("class", names, totals)]),
        Section("Probabilities", [curves]),
    ]


def of_labels(found: Predictions) -> list[Section]:
    """Precision, recall and calibration of several labels."""
    names, actual = found.signature.classes, found.targets > 0
    totals = Counts(
        (actual & found.decisions).sum(axis=0, dtype=np.float64),
        found.decisions.sum(axis=0, dtype=np.float64),
        actual.sum(axis=0, dtype=np.float64),
    )
    calibration = probabilities.calibration(
        found.predicted.ravel(),
        actual.ravel(),
        "predicted probability, all labels",
        "share with the label",
    )
    curves = Group([probabilities.precision_recall(found.predicted, actual, names), calibration])
    return [
        Section("Labels", [_per_class("label", names, totals)]),
        Section("Probabilities", [curves]),
    ]


def confusion_matrix(found: Predictions) -> NDArray[np.float64]:
    """Numbers of examples `[C, C]` by class (row) and predicted class (column)."""
    size = len(found.signature.classes)
    pairs = found.targets.astype(np.int64) * size + found.decisions
    return np.bincount(pairs, minlength=size * size).reshape(size, size).astype(np.float64)


def _confusions(found: Predictions, counts: NDArray[np.float64]) -> list[Part]:
    names = found.signature.classes
    right, total = int(np.trace(counts)), int(counts.sum())
    parts: list[Part] = [
        text(f"{right} of {total} examples of the {found.split} split are classified correctly.")
    ]
    if len(names) <= _LARGEST_MATRIX:
        title = "Examples by class (row) and predicted class (column)"
        return [*parts, charts.matrix(title, "predicted class", "class", names, counts)]
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSIONS]
    rows = [
        [names[actual], names[predicted], int(wrong[actual, predicted])]
        for actual, predicted in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[actual, predicted]
    ]
    head = ["class", "predicted class", "examples"]
    return [*parts, table(head, rows, "The most frequent confusions")]


def _per_class(kind: str, names: tuple[str, ...], counts: Counts) -> Html:
    values = (precision(counts), recall(counts), f1(counts))
    rows = [
        [name, *(float(each[number]) for each in values), int(counts.actual[number])]
        for number, name in enumerate(names)
    ]
    return table([kind, "precision", "recall", "F1", "examples"], rows)

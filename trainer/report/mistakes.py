"""The worst mistakes: those of the largest loss, as pictures or as rows of a table."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.data.signature import CLASSIFICATION, MULTI_LABEL, Column
from trainer.pages.page import Group, Section, picture, shown, table, text
from trainer.report.predictions import Predictions

_SHOWN = 24
_SMALLEST = 1e-12


def section(found: Predictions) -> Section:
    """The examples on which the network is most wrong, the worst first."""
    order = worst(found)[:_SHOWN]
    title = "Largest errors" if _is_regression(found) else "Worst mistakes"
    if not len(order):
        count = len(found.examples)
        return Section(title, [text(f"There are none among the {count} examples.")])
    features = found.features(order)
    if found.signature.kind == "image":
        pictures = [
            picture(pixels, f"Example {position}: {', '.join(lines)}", lines)
            for pixels, position in zip(features, order.tolist(), strict=True)
            if (lines := [f"{name}: {value}" for name, value in outcome(found, position)])
        ]
        return Section(title, [Group(pictures, "pictures")])
    columns = found.signature.columns
    names = [name for name, _ in outcome(found, int(order[0]))]
    head = [*names, *(f"{each.name}{each.part and '.'}{each.part}" for each in columns)]
    rows = [
        [*(value for _, value in outcome(found, position)), *_cells(row, columns)]
        for row, position in zip(features, order.tolist(), strict=True)
    ]
    return Section(title, [table(head, rows)])


def worst(found: Predictions) -> NDArray[np.int64]:
    """The positions of wrong examples by their loss, the largest first; all of a regression."""
    targets, predicted = found.targets, found.predicted
    if found.signature.target == CLASSIFICATION:
        of_class = predicted[np.arange(len(targets)), targets]
        losses, wrong = -np.log(np.maximum(of_class, _SMALLEST)), found.decisions != targets
    elif found.signature.target == MULTI_LABEL:
        of_label = np.where(targets > 0, predicted, 1 - predicted)
        losses = -np.log(np.maximum(of_label, _SMALLEST)).sum(axis=1)
        wrong = (found.decisions != (targets > 0)).any(axis=1)
    else:
        scaled = np.abs(predicted - targets) * np.asarray(found.signature.target_scale)
        losses, wrong = scaled.sum(axis=1), np.ones(len(targets), bool)
    order = np.argsort(-losses, kind="stable")
    return order[wrong[order]]


def outcome(found: Predictions, position: int) -> list[tuple[str, str]]:
    """What an example is and what is predicted, as named texts."""
    names = found.signature.classes
    target, predicted = found.targets[position], found.predicted[position]
    if found.signature.target == CLASSIFICATION:
        decision = found.decisions[position]
        return [
            ("class", names[target]),
            ("predicted", names[decision]),
            ("probability", f"{predicted[decision]:.3f}"),
        ]
    if found.signature.target == MULTI_LABEL:
        decision = found.decisions[position]
        chosen = [f"{names[n]} {predicted[n]:.3f}" for n in np.flatnonzero(decision)]
        missed = [f"{names[n]} {predicted[n]:.3f}" for n in np.flatnonzero(target * ~decision)]
        return [
            ("labels", ", ".join(names[n] for n in np.flatnonzero(target)) or "none"),
            ("predicted", ", ".join(chosen) or "none"),
            ("missed", ", ".join(missed) or "none"),
        ]
    pairs = []
    for number, name in enumerate(names):
        prefix = f"{name}, " if len(names) > 1 else ""
        pairs += [
            (f"{prefix}actual", shown(target[number])),
            (f"{prefix}predicted", shown(predicted[number])),
        ]
    return pairs


def _is_regression(found: Predictions) -> bool:
    return found.signature.target not in (CLASSIFICATION, MULTI_LABEL)


def _cells(row: NDArray[np.float32], columns: Sequence[Column]) -> list[object]:
    """The stored numbers of a row, with the names of categories."""
    return [_cell(float(value), column) for value, column in zip(row, columns, strict=True)]


def _cell(value: float, column: Column) -> object:
    if math.isnan(value):
        return "missing"
    if column.type == "categorical":
        return column.categories[int(value) - 1] if value else "other"
    if column.type == "boolean":
        return "true" if value else "false"
    return value

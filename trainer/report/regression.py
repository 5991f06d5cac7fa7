"""Sections for a regression: predicted against actual values, and residuals."""

import numpy as np

from trainer.pages import charts
from trainer.pages.page import Group, Part, Section, text
from trainer.report.predictions import Predictions

_MOST_VALUES = 6
_MOST_POINTS = 2000


def of_values(found: Predictions) -> list[Section]:
    """Two charts per value of the target."""
    names, count = found.signature.classes, len(found.examples)
    parts: list[Part] = []
    shown = np.arange(count)
    if count > _MOST_POINTS:
        shown = np.random.default_rng(0).choice(count, _MOST_POINTS, replace=False)
        parts.append(text(f"{_MOST_POINTS} of {count} examples, chosen at random.", "note"))
    if len(names) > _MOST_VALUES:
        parts.append(text(f"The first {_MOST_VALUES} of {len(names)} values.", "note"))
    residuals = found.predicted - found.targets
    for number, name in enumerate(names[:_MOST_VALUES]):
        points = charts.Series(
            "example",
            found.targets[shown, number],
            found.predicted[shown, number],
            mode="markers",
        )
        title = f"Predicted and actual {name}"
        fit = charts.plot(title, f"actual {name}", f"predicted {name}", [points], diagonal=True)
        spread = charts.histogram(
            f"Residuals of {name}", "predicted − actual", [(name, residuals[:, number])]
        )
        parts.append(Group([fit, spread]))
    return [Section("Predictions", parts)]

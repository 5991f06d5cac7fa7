"""The charts of a search."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from trainer.pages import charts
from trainer.pages.charts import Chart, Series
from trainer.tune.importance import position
from trainer.tune.space import Choice, Dimension, Objective, to_text
from trainer.tune.trial import Trial

# Positions in the range of a dimension are 0 to 1; a trial without a value is drawn below.
_NOT_SET = -0.1


def best_so_far(trials: Sequence[Trial], objective: Objective) -> Chart:
    """The score of each trial in the order of their ends, and the best so far as a line.

    Args:
      trials: trials with scores, in that order.
      objective: the objective of the search.
    """
    scores = [_score(trial) for trial in trials]
    low, high = _bounds(scores)
    best = [objective.best(scores[:number]) for number in range(1, len(scores) + 1)]
    # A step where a trial is better.
    x = [number for number in range(1, len(scores) + 1) for _ in range(2)][1:]
    y = [score for score in best for _ in range(2)][:-1]
    drawn = [min(max(score, low), high) for score in scores]
    texts = [_describe(trial) for trial in trials]
    margin = 0.05 * (high - low)
    return charts.plot(
        "Score of each trial, and the best so far",
        "trials ended",
        objective.name,
        [
            Series("trial", range(1, len(scores) + 1), drawn, mode="markers", texts=texts),
            Series("best so far", x, y),
        ],
        y_range=(low - margin, high + margin),
    )


def parallel_coordinates(
    trials: Sequence[Trial],
    space: Sequence[Dimension],
    objective: Objective,
    best: Trial | None,
) -> Chart:
    """One line per trial through its values and its score, the best of the search on top."""
    scores = [_score(trial) for trial in trials]
    low, high = _bounds(scores)
    ranked = sorted(
        trials, key=lambda trial: (trial is best, _quality(_score(trial), scores, objective))
    )
    traces = []
    for trial in ranked:
        heights = [position(dimension, trial.values.get(dimension.path)) for dimension in space]
        heights.append(min(max((_score(trial) - low) / (high - low), 0.0), 1.0))
        is_best = trial is best
        traces.append(
            go.Scatter(
                x=list(range(len(heights))),
                y=heights,
                mode="lines",
                line={"color": f"var(--series-{int(is_best)})", "width": 3 if is_best else 1.5},
                opacity=0.15 + 0.85 * _quality(_score(trial), scores, objective),
                hovertext=escape(_describe(trial), quote=False),
                hoverinfo="text",
            )
        )
    layout = charts.layout_of("hyperparameters and score", "low to high")
    names = [*(dimension.path for dimension in space), objective.name]
    layout["xaxis"] |= {
        "tickvals": list(range(len(names))),
        "ticktext": [escape(name, quote=False).replace(".", ".<br>", 1) for name in names],
        # Space for the first label and the last marks.
        "range": [-0.45, len(names) - 0.5],
        "gridcolor": "var(--muted)",
        "zeroline": False,
    }
    layout["yaxis"] |= {"showticklabels": False, "showgrid": False, "zeroline": False}
    layout["annotations"] = [
        *(mark for place, dimension in enumerate(space) for mark in _marks(place, dimension)),
        *(_mark(len(space), height, f"{end:.4g}") for height, end in ((0.0, low), (1.0, high))),
    ]
    title = "Values of each trial; darker lines are better"
    return Chart(title, charts.figure_of(traces, layout))


def importance_bars(importances: Mapping[str, float]) -> Chart:
    """The importance of each dimension as a bar."""
    title = "Importance of each hyperparameter"
    return charts.bars(title, "share of the importance", [*importances], [*importances.values()])


def _marks(place: int, dimension: Dimension) -> list[dict[str, Any]]:
    """The ends of a range, or the choices, at the axis of a dimension."""
    if isinstance(dimension, Choice):
        texts = [(position(dimension, value), to_text(value)) for value in dimension.values]
    else:
        texts = [(0.0, f"{dimension.low:g}"), (1.0, f"{dimension.high:g}")]
    if dimension.when is not None:
        texts.append((_NOT_SET, "(none)"))
    return [_mark(place, height, text) for height, text in texts]


def _mark(place: int, height: float, text: str) -> dict[str, Any]:
    return {
        "x": place,
        "y": height,
        "text": charts.label(text),
        "showarrow": False,
        "xanchor": "left",
        "bgcolor": "var(--paper)",
        "opacity": 0.85,
        "font": {"size": 11},
    }


def _bounds(scores: Sequence[float]) -> tuple[float, float]:
    """Returns the range of an axis of scores; outliers are drawn at its ends."""
    ordered = sorted(scores)
    quarter, median = ordered[len(ordered) // 4], ordered[len(ordered) // 2]
    upper = ordered[(3 * len(ordered)) // 4]
    reach = 3 * (upper - quarter) or abs(median) * 0.05 or 1.0
    low, high = max(ordered[0], quarter - reach), min(ordered[-1], upper + reach)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _quality(score: float, scores: Sequence[float], objective: Objective) -> float:
    """Returns the fraction of other trials that are worse."""
    worse = sum(objective.is_better(score, other) for other in scores)
    return worse / max(1, len(scores) - 1)


def _describe(trial: Trial) -> str:
    values = ", ".join(f"{path} {to_text(value)}" for path, value in trial.values.items())
    return f"trial {trial.id}: {trial.score:.5g} ({trial.status}) {values}"


def _score(trial: Trial) -> float:
    assert trial.score is not None
    return trial.score

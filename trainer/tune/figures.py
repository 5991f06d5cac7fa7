"""The figures of a search, as SVG elements.

In all figures the color of a trial is the rank of its score.
"""

from collections.abc import Mapping, Sequence
from html import escape

from trainer.tune.importance import position
from trainer.tune.space import Choice, Dimension, Objective, to_text
from trainer.tune.trial import Trial

_WIDTH, _HEIGHT = 960, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 40, 40, 50
_TICKS = 5


def best_so_far(trials: Sequence[Trial], objective: Objective) -> str:
    """Plots the score of each trial in the order of their ends, and the best so far as a line.

    Args:
      trials: trials with scores, in that order.
      objective: the objective of the search.
    """
    scores = [trial.score for trial in trials if trial.score is not None]
    low, high = _bounds(scores)
    span = max(1, len(scores) - 1)

    def x(number: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * number / span

    def y(score: float) -> float:
        shown = min(max(score, low), high)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (shown - low) / (high - low)

    parts = []
    for tick in range(_TICKS):
        value = low + (high - low) * tick / (_TICKS - 1)
        parts.append(_line(_LEFT, y(value), _WIDTH - _RIGHT, y(value), "grid"))
        parts.append(_label(_LEFT - 8, y(value) + 4, f"{value:.4g}", "end"))
    for number in sorted({round(span * tick / 5) for tick in range(6)} if len(scores) > 1 else {0}):
        parts.append(_label(x(number), _HEIGHT - _BOTTOM + 20, str(number + 1)))
    parts.append(_label(_WIDTH / 2, _HEIGHT - 8, "trials ended"))
    steps = [objective.best(scores[: number + 1]) for number in range(len(scores))]
    points = [f"{x(0):.1f},{y(steps[0]):.1f}"]
    for number in range(1, len(steps)):
        points += [
            f"{x(number):.1f},{y(steps[number - 1]):.1f}",
            f"{x(number):.1f},{y(steps[number]):.1f}",
        ]
    parts.append(f'<polyline class="best" points="{" ".join(points)}"/>')
    for number, trial in enumerate(trials):
        assert trial.score is not None
        color = _color(_quality(trial.score, scores, objective))
        parts.append(
            f'<circle cx="{x(number):.1f}" cy="{y(trial.score):.1f}" r="5" fill="{color}">'
            f"<title>{_describe(trial)}</title></circle>"
        )
    return _svg(parts, "Score of each trial, and the best so far")


def parallel_coordinates(
    trials: Sequence[Trial], space: Sequence[Dimension], objective: Objective
) -> str:
    """Plots one line per trial through its values and its score, the best one on top."""
    scores = [trial.score for trial in trials if trial.score is not None]
    low, high = _bounds(scores)
    gap = (_WIDTH - 2 * _LEFT) / len(space)

    def x(axis: int) -> float:
        return _LEFT + gap * axis

    def y(fraction: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * min(max(fraction, -0.1), 1.0)

    parts = []
    ranked = sorted(trials, key=lambda trial: _quality(_score(trial), scores, objective))
    for trial in ranked:
        heights = [position(dimension, trial.values.get(dimension.path)) for dimension in space]
        heights.append((_score(trial) - low) / (high - low))
        points = " ".join(f"{x(axis):.1f},{y(height):.1f}" for axis, height in enumerate(heights))
        quality = _quality(_score(trial), scores, objective)
        parts.append(
            f'<polyline class="trial" points="{points}" stroke="{_color(quality)}" '
            f'stroke-width="{1 + 2 * (trial is ranked[-1])}" opacity="{0.35 + 0.65 * quality:.2f}">'
            f"<title>{_describe(trial)}</title></polyline>"
        )
    for axis, dimension in enumerate(space):
        parts.append(_line(x(axis), y(0), x(axis), y(1), "axis"))
        section, _, field = dimension.path.partition(".")
        parts.append(_label(x(axis), _TOP - 22, f"{section}." if field else ""))
        parts.append(_label(x(axis), _TOP - 8, field or section))
        for height, name in _marks(dimension):
            parts.append(_label(x(axis) + 6, y(height) + 4, name, "start", halo=True))
        if any(position(dimension, trial.values.get(dimension.path)) < 0 for trial in trials):
            parts.append(_label(x(axis) + 6, y(-0.1) + 4, "(none)", "start", halo=True))
    last = len(space)
    parts.append(_line(x(last), y(0), x(last), y(1), "axis"))
    parts.append(_label(x(last), _TOP - 8, objective.name))
    for height, value in ((0.0, low), (1.0, high)):
        parts.append(_label(x(last) + 6, y(height) + 4, f"{value:.4g}", "start", halo=True))
    return _svg(parts, "Values of each trial; darker lines are better")


def importance_bars(importances: Mapping[str, float]) -> str:
    """Plots the importance of each dimension as a bar."""
    row = 26
    parts = []
    for number, (path, fraction) in enumerate(importances.items()):
        y = 10 + row * number
        parts.append(_label(250, y + 14, path, "end"))
        parts.append(
            f'<rect x="260" y="{y}" width="{max(1.0, 560 * fraction):.1f}" '
            'height="18" class="bar"/>'
        )
        parts.append(_label(270 + 560 * fraction, y + 14, f"{fraction:.0%}", "start"))
    return _svg(parts, "Importance of each hyperparameter", 20 + row * len(importances))


def _marks(dimension: Dimension) -> list[tuple[float, str]]:
    if isinstance(dimension, Choice):
        return [(position(dimension, value), to_text(value)) for value in dimension.values]
    return [(0.0, f"{dimension.low:g}"), (1.0, f"{dimension.high:g}")]


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


def _color(quality: float) -> str:
    """Returns a color from pale gray-blue to dark blue, distinguishable without color vision."""
    return f"hsl(215 {20 + 60 * quality:.0f}% {78 - 50 * quality:.0f}%)"


def _describe(trial: Trial) -> str:
    values = ", ".join(f"{path} {to_text(value)}" for path, value in trial.values.items())
    return escape(f"trial {trial.id}: {trial.score:.5g} ({trial.status}) {values}")


def _score(trial: Trial) -> float:
    assert trial.score is not None
    return trial.score


def _line(x1: float, y1: float, x2: float, y2: float, name: str) -> str:
    return f'<line class="{name}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _label(x: float, y: float, content: str, anchor: str = "middle", halo: bool = False) -> str:
    name = ' class="halo"' if halo else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{name}>{escape(content)}</text>'


def _svg(parts: Sequence[str], title: str, height: int = _HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )

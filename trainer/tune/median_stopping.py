"""A trial's objective: its curve while it trains, its value at the end."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from trainer.tune.space import Objective

# (step, value), in the order of the reports.
Curve = Sequence[tuple[int, float]]


def read_curve(workdir: Path, name: str) -> list[tuple[int, float]]:
    """The finite values of `split/name` in metrics.jsonl; a line cut short is left out."""
    path = workdir / "metrics.jsonl"
    if not path.exists():
        return []
    split, _, metric = name.partition("/")
    records = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    return [
        (record["step"], record["metrics"][metric])
        for record in records
        if record["split"] == split and _is_finite(record["metrics"].get(metric))
    ]


def final_value(workdir: Path, name: str) -> float | None:
    """The objective of a finished run: result.json's, else the last in metrics.jsonl."""
    value = json.loads((workdir / "result.json").read_text())["metrics"].get(name)
    if _is_finite(value):
        return float(value)
    curve = read_curve(workdir, name)
    return curve[-1][1] if curve else None


def hopeless_at(curve: Curve, others: Sequence[Curve], objective: Objective) -> float | None:
    """Where the median rule would stop a trial: its best value up to there, None if nowhere.

    Source: Golovin et al. (2017), section 3.2.1: a trial is stopped at a step if its best
    value by then is strictly worse than the median of the others' means of all values
    reported by then.
    """
    for number, (step, _) in enumerate(curve, 1):
        best = objective.best([value for _, value in curve[:number]])
        means = [
            sum(values) / len(values)
            for other in others
            if (values := [value for at, value in other if at <= step])
        ]
        if means and objective.better(_median(means), best):
            return best
    return None


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)

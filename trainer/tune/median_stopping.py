"""The objective of a trial by step and at the end, and the median stopping rule."""

from collections.abc import Sequence
from pathlib import Path

from trainer.io import files, records
from trainer.tune.space import Objective

# (step, value), in the order of the reports.
Curve = Sequence[tuple[int, float]]


def read_curve(workdir: Path, name: str) -> list[tuple[int, float]]:
    """Returns the finite values of `split/name` in the reports of a run."""
    return records.curve(records.read_records(workdir / "metrics.jsonl"), name)


def final_value(workdir: Path, name: str) -> float | None:
    """Returns the objective of a finished run: from result.json, else from the last report."""
    value = files.read_json(workdir / "result.json")["metrics"].get(name)
    if records.is_finite(value):
        return float(value)
    curve = read_curve(workdir, name)
    return curve[-1][1] if curve else None


def stopping_value(curve: Curve, others: Sequence[Curve], objective: Objective) -> float | None:
    """Returns the best value up to the step where the median rule stops a trial, else None.

    Source: Golovin et al. (2017), section 3.2.1: a trial is stopped at a step if its best
    value up to that step is strictly worse than the median, over the other trials, of the
    mean of the values reported up to that step.
    """
    for number, (step, _) in enumerate(curve, 1):
        best = objective.best([value for _, value in curve[:number]])
        means = [
            sum(values) / len(values)
            for other in others
            if (values := [value for at, value in other if at <= step])
        ]
        if means and objective.is_better(_median(means), best):
            return best
    return None


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2

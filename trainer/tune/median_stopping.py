"""The objective of a trial by step and at the end, and the median stopping rule."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from trainer.io import files, records
from trainer.tune.layout import Layout
from trainer.tune.outcome import TrialStatus
from trainer.tune.space import Objective, Search
from trainer.tune.trial import Trial

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


class MedianStopping:
    """The median rule for the trials of a search, on the curves that `read` has found."""

    def __init__(self, layout: Layout, search: Search):
        """Knows no curves yet; the rule is off unless `search.median_stopping` is set."""
        self._layout = layout
        self._search = search
        self._curves: dict[str, Curve] = {}
        self._complete: set[str] = set()

    def read(self, trials: Iterable[Trial]) -> None:
        """Reads the curves of running and newly finished trials, which may take long."""
        if not self._search.median_stopping:
            return
        for trial in trials:
            is_complete = trial.status is TrialStatus.FINISHED
            if trial.id in self._complete or not (is_complete or trial.is_open):
                continue
            self._curves[trial.id] = self._read(trial)
            if is_complete:
                self._complete.add(trial.id)

    def stopping_value(self, trial: Trial, trials: Iterable[Trial]) -> float | None:
        """Returns the value at which the rule stops a trial, or None."""
        finished = [other for other in trials if other.status is TrialStatus.FINISHED]
        if not self._search.median_stopping or len(finished) < self._search.median_stopping:
            return None
        curves = [self._curves.get(other.id, ()) for other in finished]
        return stopping_value(self._curves.get(trial.id, ()), curves, self._search.objective)

    def score(self, trial: Trial, trials: Iterable[Trial]) -> float | None:
        """Returns the score of a stopped trial; None if it has reported nothing."""
        value = self.stopping_value(trial, trials)
        if value is None:
            # Of a trial that took too long, or if the median has changed since.
            values = [value for _, value in self._read(trial)]
            value = self._search.objective.best(values) if values else None
        return value

    def _read(self, trial: Trial) -> Curve:
        return read_curve(self._layout.workdir(trial.id, 0), self._search.objective.name)

"""The report of a search: a self-contained HTML page."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from trainer.io import files
from trainer.pages import page as pages
from trainer.pages.page import Html, Part, Section, code, table, text
from trainer.tune import figures
from trainer.tune.importance import importance
from trainer.tune.outcome import TrialStatus
from trainer.tune.space import to_text
from trainer.tune.stored import StoredSearch
from trainer.tune.trial import Trial, ranked

if TYPE_CHECKING:
    # Importing a study takes seconds, because it loads KerasTuner.
    from trainer.tune.study import Study


def write(study: Study) -> None:
    """Writes the report of a search; it may still be running."""
    files.write_text(study.layout.report, page(study))


def ranking(study: Study | StoredSearch) -> list[Trial]:
    """Returns the finished trials, best first, then stopped, failed, refused and open ones."""
    order = (
        *(TrialStatus.STOPPED, TrialStatus.FAILED, TrialStatus.REFUSED),
        *(TrialStatus.RUNNING, TrialStatus.WAITING),
    )
    sign = -1 if study.search.objective.direction == "max" else 1
    others = [trial for trial in study.trials.values() if trial.status is not TrialStatus.FINISHED]
    others.sort(key=lambda trial: (order.index(trial.status), sign * (trial.score or 0.0)))
    return [*ranked(study.trials.values(), study.search.objective), *others]


def page(study: Study | StoredSearch) -> str:
    """Returns the HTML of the report."""
    scored = [trial for trial in study.trials.values() if trial.score is not None]
    scored.sort(key=lambda trial: trial.ended)
    sections = [*_figures(study, scored)] if scored else []
    title = f"Search in {study.layout.root.name}"
    return pages.page(title, _lead(study), [*sections, Section("Trials", [_table(study)])])


def _figures(study: Study | StoredSearch, scored: Sequence[Trial]) -> Iterator[Section]:
    """Yields the charts of trials with scores, in the order of their ends."""
    objective, space = study.search.objective, study.search.space
    length = max(trial.fraction for trial in scored)
    longest = [trial for trial in scored if trial.fraction == length]
    yield Section("Best score so far", [figures.best_so_far(longest, objective)])
    values = figures.parallel_coordinates(scored, space, objective, study.best)
    yield Section("Hyperparameters and scores", [values])
    if importances := importance(scored, space):
        note = (
            "Permutation importance in a random forest that predicts the rank of a trial; a rough "
            f"estimate from {len(scored)} trials."
        )
        bars = figures.importance_bars(importances)
        yield Section("Importance of hyperparameters", [text(note, "note"), bars])


def _lead(study: Study | StoredSearch) -> list[Part]:
    search = study.search
    counts = Counter(trial.status for trial in study.trials.values())
    counted = ", ".join(f"{number} {status}" for status, number in counts.items())
    better = "higher" if search.objective.direction == "max" else "lower"
    seeds = f", mean of {search.executions} seeds" if search.executions > 1 else ""
    settings = (
        f"{search.objective.name}, {better} is better; {type(search.oracle).__name__} oracle, "
        f"seed {search.seed}{seeds}; trials: {counted or 'none yet'}."
    )
    best = study.best
    if best is None:
        return [text(settings, "note")]
    config, run = (
        shlex.quote(f"{study.layout.root}/best/{name}") for name in ("config.json", "run")
    )
    return [
        text(settings, "note"),
        text(f"The best trial is {best.id} with {search.objective.name} {best.score:.5g}:"),
        code(f"trainer train --config={config} --workdir={run}"),
    ]


def _table(study: Study | StoredSearch) -> Html:
    paths = [dimension.path for dimension in study.search.space]
    head = ["trial", "status", study.search.objective.name, "seconds", *paths, ""]
    rows, kinds = [], []
    for number, trial in enumerate(ranking(study)):
        rows.append(
            [
                trial.id,
                str(trial.status),
                trial.score,
                round(trial.ended - trial.started) if trial.ended else None,
                *(_shown(trial, path) for path in paths),
                _remark(trial),
            ]
        )
        is_best = not number and trial.status is TrialStatus.FINISHED
        is_bad = trial.status in (TrialStatus.FAILED, TrialStatus.REFUSED)
        kinds.append("strong" if is_best else "bad" if is_bad else "")
    return table(head, rows, kinds=kinds)


def _remark(trial: Trial) -> str:
    if trial.baseline:
        return f"the configuration as given. {trial.reason}".strip()
    parent = f"resumes {trial.parent}. " if trial.parent else ""
    return f"{parent}{trial.reason}"


def _shown(trial: Trial, path: str) -> str:
    value = trial.values.get(path)
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else to_text(value)

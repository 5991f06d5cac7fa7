"""The comparison of runs: configuration, results and curves side by side."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainer.config.inspection import leaves
from trainer.config.loading import Experiment
from trainer.engine import seed_folders
from trainer.engine.workdir import WorkDirectory, finished_result, load_experiment
from trainer.errors import UserError
from trainer.io.records import curve, is_finite, read_records
from trainer.pages import charts
from trainer.pages.charts import Series
from trainer.pages.page import Group, Part, Section, page, table, text
from trainer.report import sections

_ABSENT = "–"
_STEPS = {"supervised": "updates", "rl": "environment steps"}
# Curve of a metric: mean over the seeds, by step.
Curve = Sequence[tuple[int, float]]


@dataclasses.dataclass(frozen=True)
class Run:
    """A run to compare.

    Attributes:
      name: of its column and lines.
      experiment: its configuration.
      result: content of result.json; None: not finished.
      curves: of each metric, as `split/name`.
    """

    name: str
    experiment: Experiment
    result: Mapping[str, Any] | None
    curves: Mapping[str, Curve]


def report(directories: Sequence[str]) -> str:
    """The HTML of a comparison of work directories.

    Raises:
      UserError: if one has no run, or their tasks differ.
    """
    experiments = {path.rstrip("/"): load_experiment(path) for path in directories}
    if len(experiments) < len(directories):
        raise UserError(f"each directory must be given once. Received: {' '.join(directories)}")
    if len({experiment.task for experiment in experiments.values()}) > 1:
        tasks = ", ".join(f"{path} ({each.task})" for path, each in experiments.items())
        raise UserError(f"only runs of one task can be compared. Received: {tasks}")
    names = _names(list(experiments))
    runs = [
        Run(name, each, finished_result(path, each), _curves(each, path))
        for name, (path, each) in zip(names, experiments.items(), strict=True)
    ]
    return page(
        f"Comparison of {len(runs)} runs",
        [text(", ".join(experiments), "note")],
        [
            Section("Results", _results(runs)),
            Section("Configuration", _differences(runs)),
            Section("Curves", _charts(runs)),
        ],
    )


def _names(paths: Sequence[str]) -> list[str]:
    """The last parts of paths, as many as tell them apart."""
    parts = [path.split("/") for path in paths]
    length = next(
        length
        for length in range(1, max(map(len, parts)) + 1)
        if len({tuple(each[-length:]) for each in parts}) == len(parts)
    )
    return ["/".join(each[-length:]) or "/" for each in parts]


def _results(runs: Sequence[Run]) -> list[Part]:
    finished = {run.name: run.result["metrics"] for run in runs if run.result}
    parts: list[Part] = [
        text(f"{run.name}: {sections.UNFINISHED}", "warning") for run in runs if not run.result
    ]
    names = dict.fromkeys(
        name
        for metrics in finished.values()
        for name, value in metrics.items()
        if is_finite(value) or name.endswith(sections.INTERVAL)
    )
    rows = [
        [
            name.replace(sections.INTERVAL, ", 95 % interval"),
            *(metrics.get(name) for metrics in finished.values()),
        ]
        for name in names
    ]
    times = [
        [f"seconds, {part}", *(run.result["seconds"][part] for run in runs if run.result)]
        for part in ("train", "total")
    ]
    if finished:
        parts.append(table(["metric", *finished], rows + times))
    references = {
        run.result["reference"]: None for run in runs if run.result and "reference" in run.result
    }
    return [*parts, *(text(f"Published: {reference}") for reference in references)]


def _differences(runs: Sequence[Run]) -> list[Part]:
    """The fields in which the configurations differ, a column per run."""
    values = [{leaf.path: leaf.value for leaf in leaves(run.experiment)} for run in runs]
    rows = []
    for path in dict.fromkeys(path for each in values for path in each):
        cells = [sections.value_text(each[path]) if path in each else _ABSENT for each in values]
        if len(set(cells)) > 1:
            rows.append([path, *cells])
    if not rows:
        return [text("The configurations are equal.")]
    return [table(["field", *(run.name for run in runs)], rows)]


def _charts(runs: Sequence[Run]) -> list[Part]:
    """A chart per metric, with the evaluations of each run, or its training without any."""
    names = dict.fromkeys(name.partition("/")[2] for run in runs for name in run.curves)
    parts = []
    for name in names:
        split = next(
            split
            for split in ("eval", "train", "test")
            if any(f"{split}/{name}" in run.curves for run in runs)
        )
        series = []
        for number, run in enumerate(runs):
            if len(points := run.curves.get(f"{split}/{name}", ())) > 1:
                x, y = zip(*points, strict=True)
                series.append(Series(run.name, x, y, color=number))
        title = f"{split} {name}".replace("_", " ")
        if series:
            x_title = _STEPS[runs[0].experiment.task]
            parts.append(charts.plot(title, x_title, name.replace("_", " "), series))
    return [Group(parts)] if parts else []


def _curves(experiment: Experiment, path: str) -> dict[str, Curve]:
    """Each metric's mean over the seeds, at the steps at which all have reported it."""
    of_seeds = [
        read_records(WorkDirectory(each).metrics) for _, each in seed_folders.runs(experiment, path)
    ]
    names = dict.fromkeys(
        f"{record.split}/{name}"
        for records in of_seeds
        for record in records
        for name, value in record.metrics.items()
        if is_finite(value)
    )
    curves: dict[str, Curve] = {}
    for name in names:
        each = [dict(curve(records, name)) for records in of_seeds]
        shared = sorted(set.intersection(*map(set, each)))
        curves[name] = [(step, float(np.mean([one[step] for one in each]))) for step in shared]
    return curves

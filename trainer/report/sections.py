"""The sections that every report has: results, curves, times, configuration."""

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.config.fields import default_of
from trainer.config.inspection import Leaf, leaves
from trainer.config.loading import Experiment
from trainer.io.paths import is_remote
from trainer.io.records import Record, curve, is_finite
from trainer.pages import charts
from trainer.pages.charts import Chart
from trainer.pages.page import Group, Html, Part, Section, code, details, table, text

# Shown by another curve already.
_LEFT_OUT = ("updates_per_second",)
# Suffix of a metric across seeds.
INTERVAL = "_ci95"
UNFINISHED = "not finished: it has no results yet"


def title(path: str) -> str:
    """The title of the report of a work directory."""
    whole = path.rstrip("/") if is_remote(path) else os.path.abspath(path)
    return f"Run {os.path.basename(whole) or whole}"


def not_finished() -> Html:
    """Says that there is no result."""
    return text(f"The run is {UNFINISHED}.", "warning")


def results(result: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[Part]:
    """The numbers of result.json, each beside its baseline and its interval if there are any.

    Lists, such as values of each class, have sections of their own.

    Args:
      result: content of result.json.
      baseline: metrics of the best predictor that sees no features; may be empty.
    """
    metrics = result["metrics"]
    intervals = {name for name in metrics if name.endswith(INTERVAL)}
    head, rows = ["metric", "value"], []
    if intervals:
        head.append("95 % interval")
    if baseline:
        head.append("without features")
    for name, value in metrics.items():
        if name in intervals or isinstance(value, list):
            continue
        row = [name, value if is_finite(value) else "not finite"]
        if intervals:
            row.append(metrics.get(f"{name}{INTERVAL}"))
        if baseline:
            row.append(baseline.get(name))
        rows.append(row)
    parts: list[Part] = [table(head, rows)]
    if baseline:
        parts.append(
            text("Without features: the best prediction that does not look at the example.", "note")
        )
    if reference := result.get("reference"):
        parts.append(text(f"Published: {reference}"))
    return parts


def metric_curves(runs: Mapping[str, Sequence[Record]], x_title: str) -> list[Part]:
    """A chart of each number in the records, with a line per split and run.

    Args:
      runs: the records of each run under its name; the name of a single one is not shown.
      x_title: what a step is.
    """
    records = [record for each in runs.values() for record in each]
    names = dict.fromkeys(
        name
        for record in records
        for name, value in record.metrics.items()
        if is_finite(value) and name not in _LEFT_OUT
    )
    made = [chart for name in names if (chart := _metric(name, runs, x_title))]
    return [Group(made)] if made else []


def _metric(name: str, runs: Mapping[str, Sequence[Record]], x_title: str) -> Chart | None:
    """The chart of a metric; None if it was reported only once."""
    series = []
    for number, (run, records) in enumerate(runs.items()):
        for place, split in enumerate(("train", "eval", "test")):
            if not (points := curve(records, f"{split}/{name}")):
                continue
            x, y = zip(*points, strict=True)
            series.append(
                charts.Series(
                    split if len(runs) == 1 else f"{run} {split}",
                    x,
                    y,
                    mode="lines" if len(points) > 1 else "markers",
                    color=place if len(runs) == 1 else number,
                    dash="dot" if len(runs) > 1 and split == "train" else "solid",
                )
            )
    if all(each.mode == "markers" for each in series):
        return None
    return charts.plot(name.replace("_", " "), x_title, name.replace("_", " "), series)


def seconds(result: Mapping[str, Any]) -> list[Part]:
    """Where the time went, and how fast training was."""
    spent = dict(result["seconds"])
    total = spent.pop("total")
    if (rest := total - sum(spent.values())) > 0:
        spent["everything else"] = rest
    rows = [[name.replace("_", " "), value] for name, value in result["throughput"].items()]
    return [
        charts.bars("Seconds of each part", "seconds", list(spent), list(spent.values())),
        text(
            f"{total:,.0f} seconds in total. A resumed run counts the training of all starts, and "
            "everything else of the last one; of several seeds all are added up.",
            "note",
        ),
        table(["rate", "value"], rows, "Throughput"),
        text(result["strategy"], "note"),
    ]


def setup(experiment: Experiment, path: str, result: Mapping[str, Any] | None) -> list[Section]:
    """Configuration, command and versions.

    Args:
      experiment: of the run.
      path: its work directory.
      result: content of result.json; None: not finished.
    """
    rows = [
        (leaf.path, value_text(leaf.value), _is_changed(leaf, experiment))
        for leaf in leaves(experiment)
    ]
    head = ["field", "value"]
    chosen = table(head, [row[:2] for row in rows if row[2]])
    others = details(
        "The other fields, at their defaults", table(head, [row[:2] for row in rows if not row[2]])
    )
    config = shlex.quote(f"{path.rstrip('/')}/config.json")
    command: list[Part] = [code(f"trainer train --config={config} --workdir=NEW_DIRECTORY")]
    if result:
        versions = list(result["versions"].items())
        command.append(table(["package", "version"], versions, "Trained with"))
    return [Section("Reproduce this run", command), Section("Configuration", [chosen, others])]


def _is_changed(leaf: Leaf, experiment: Experiment) -> bool:
    """Whether a field differs from the default of its variant, or chooses another variant."""
    if leaf.field.name != "kind":
        return bool(leaf.value != default_of(leaf.field))
    defaults = {each.path: each.value for each in leaves(type(experiment))}
    return bool(leaf.value != defaults.get(leaf.path, leaf.value))


def value_text(value: object) -> str:
    """A value of the configuration as an override takes it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

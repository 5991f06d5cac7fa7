"""model_card.md: what a reader of an export must know (Mitchell et al., 2019, arXiv:1810.03993)."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.config.inspection import leaves
from trainer.config.loading import Experiment
from trainer.data.signature import Signature
from trainer.engine.workdir import WorkDirectory
from trainer.export.description import CARD
from trainer.io.files import read_json
from trainer.io.paths import to_path
from trainer.io.records import Value

_MOST_NAMES = 20


def write(
    folder: str,
    workdir: str,
    experiment: Experiment,
    kind: str,
    step: int,
    intended_use: str,
    signature: Signature | None = None,
    intervals: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Writes the model card of an export into a local folder.

    Args:
      folder: of the export.
      workdir: of the run; its result.json may be missing, if the run is not finished.
      experiment: the configuration.
      kind: format of the export.
      step: what the weights were trained for.
      intended_use: the user's text; empty: none was given.
      signature: of the data of a supervised run.
      intervals: 95 % intervals of some metrics, by their names in result.json.
    """
    result: Mapping[str, Any] = {}
    if to_path(WorkDirectory(workdir).result).exists():
        result = read_json(WorkDirectory(workdir).result)
    name = os.path.basename(os.path.abspath(workdir))
    lines = [
        f"# Model card: {name}",
        "",
        *_overview(experiment, kind, step, result),
        "",
        "## Intended use",
        "",
        intended_use or "Not stated by its author (`trainer export --intended_use=…`).",
        *(_scope(signature) if signature else ()),
        "",
        *_results(result, intervals or {}),
        *(_data(signature) if signature else ()),
        "## Configuration",
        "",
        *_table(("field", "value"), ((each.path, each.value) for each in leaves(experiment))),
        "",
        "## Versions",
        "",
        *_table(("package", "version"), result.get("versions", {}).items()),
        "",
    ]
    Path(folder, CARD).write_text("\n".join(lines), encoding="utf-8")


def _overview(experiment: Experiment, kind: str, step: int, result: Mapping[str, Any]) -> list[str]:
    rows = [
        ("task", experiment.task),
        ("format", kind),
        ("model", experiment.model.kind),
        ("trained for", f"{step} steps"),
        *([("trained on", result["strategy"])] if "strategy" in result else []),
    ]
    return _table(("", ""), rows)


def _scope(signature: Signature) -> list[str]:
    names = ", ".join(signature.classes[:_MOST_NAMES])
    more = len(signature.classes) - _MOST_NAMES
    what = "values" if signature.target == "regression" else "classes"
    return [
        "",
        f"It predicts {len(signature.classes)} {what}: {names}{f' and {more} more' * (more > 0)}. "
        "Its metrics hold for examples like those of its data; others, such as those of another "
        "camera, time or population, must be evaluated first.",
    ]


def _results(result: Mapping[str, Any], intervals: Mapping[str, Sequence[float]]) -> list[str]:
    metrics: Mapping[str, Value] = result.get("metrics", {})
    if not metrics:
        return ["## Results", "", "The run is not finished.", ""]
    baseline = result.get("baseline", {})
    rows = []
    for name, value in metrics.items():
        if isinstance(value, int | float):
            low, high = intervals.get(name, (None, None))
            interval = f"{_shown(low)} to {_shown(high)}" if low is not None else ""
            rows.append((name, _shown(value), interval, _shown(baseline.get(name, ""))))
    head = ("metric", "value", "95 % interval", "baseline without features")
    reference = [f"Published: {result['reference']}", ""] if "reference" in result else []
    return ["## Results", "", *_table(head, rows), "", *reference]


def _data(signature: Signature) -> list[str]:
    rows = [(each.split, each.examples, f"`{each.sha256}`") for each in signature.splits]
    return ["## Data", "", *_table(("split", "examples", "SHA-256"), rows), ""]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    def line(cells: Sequence[object]) -> str:
        texts = (" ".join(str(cell).split()).replace("|", "\\|") for cell in cells)
        return f"| {' | '.join(texts)} |"

    return [line(head), line(["---"] * len(head)), *map(line, rows)]


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

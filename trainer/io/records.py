"""Reads and writes metrics.jsonl: one JSON object with step, split, time and metrics per line."""

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from trainer.io import fence
from trainer.io.files import write_text
from trainer.io.paths import PathLike, is_remote, to_path

# A number, one number per class, or a matrix.
Value = float | Sequence[float] | Sequence[Sequence[float]]


@dataclasses.dataclass(frozen=True)
class Record:
    """The metrics of one split at one step.

    Attributes:
      step: the training step.
      split: train, eval or test.
      time: seconds since 1970.
      metrics: values by name. A value that is not finite is null in the file and None when read.
    """

    step: int
    split: str
    time: float
    metrics: Mapping[str, Value]


def read_records(path: PathLike) -> list[Record]:
    """Reads metrics.jsonl. A missing file has no records; lines that are no record are ignored."""
    return [record for line in read_lines(path) if (record := parse_line(line))]


def read_lines(path: PathLike) -> list[str]:
    """The complete lines of metrics.jsonl: a truncated last line is left out."""
    if not to_path(path).exists():
        return []
    text = to_path(path).read_bytes().decode("utf-8", errors="replace")
    return text.split("\n")[:-1]


def append_record(path: PathLike, record: Record) -> None:
    """Appends one record; its line is on disk when the call returns."""
    fence.check()
    with to_path(path).open("a") as file:
        file.write(format_line(record))
        if not is_remote(path):
            file.flush()
            os.fsync(file.fileno())


def write_records(path: PathLike, records: Iterable[Record]) -> None:
    """Replaces the file atomically."""
    write_text(path, "".join(map(format_line, records)))


def curve(records: Iterable[Record], name: str) -> list[tuple[int, float]]:
    """The finite values of one metric, as (step, value) pairs with rising steps.

    The final evaluation is left out if it is of an earlier checkpoint, in the same split.

    Args:
      records: of one run.
      name: split and metric, for example `eval/loss`.
    """
    split, _, metric = name.partition("/")
    points: list[tuple[int, float]] = []
    for record in records:
        value = record.metrics.get(metric)
        is_later = not points or record.step > points[-1][0]
        if record.split == split and is_later and is_finite(value):
            points.append((record.step, float(value)))
    return points


def is_finite(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def format_line(record: Record) -> str:
    """The line of a record, with its newline."""
    return json.dumps(_replace_not_finite(dataclasses.asdict(record))) + "\n"


def parse_line(line: str) -> Record | None:
    """The record of a line; None if the line is damaged."""
    try:
        fields = json.loads(line)
        metrics = dict(fields["metrics"])
        return Record(fields["step"], fields["split"], fields.get("time", 0.0), metrics)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _replace_not_finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _replace_not_finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_not_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

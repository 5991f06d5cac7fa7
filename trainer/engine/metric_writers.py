"""Where the figures of a run go: JSON lines, TensorBoard, the console, memory."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from trainer.compat.keras import tf
from trainer.io.files import write_text

Value = float | Sequence[float]


@dataclasses.dataclass(frozen=True)
class Record:
    """The metrics of one split at one step; `time` is in seconds since 1970."""

    step: int
    split: str
    time: float
    metrics: Mapping[str, Value]


class Writer(Protocol):
    """Anything that takes records."""

    def write(self, record: Record) -> None:
        """Takes one record."""

    def rewind(self, step: int) -> None:
        """Forgets the records after a step, before a run goes on from there."""


class Memory:
    """Keeps records in a list; for tests and for workers that write no files."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        """Takes one record."""
        self.records.append(record)

    def rewind(self, step: int) -> None:
        """Forgets the records after a step."""
        self.records = [record for record in self.records if record.step <= step]


class Files:
    """metrics.jsonl, and TensorBoard's event files with the same scalars."""

    def __init__(self, jsonl: str, tensorboard: str):
        """Opens both on the first record; `<split>/<metric>` names a TensorBoard curve."""
        self._jsonl = jsonl
        self._tensorboard = tensorboard
        self._events: tf.summary.SummaryWriter | None = None

    def write(self, record: Record) -> None:
        """Adds one record to both, complete before the call returns.

        A metric that is not finite is null in JSON.
        """
        with tf.io.gfile.GFile(self._jsonl, "a") as file:
            file.write(_line(record))
        self._write_events(record)

    def rewind(self, step: int) -> None:
        """Forgets the records after a step, and the line that a kill cut short.

        The event files are made anew from what stays: they hold nothing else.
        """
        kept = [record for record in read_records(self._jsonl) if record.step <= step]
        if tf.io.gfile.exists(self._jsonl):
            write_text(self._jsonl, "".join(map(_line, kept)))
        if tf.io.gfile.exists(self._tensorboard):
            tf.io.gfile.rmtree(self._tensorboard)
        self._events = None
        for record in kept:
            self._write_events(record)

    def _write_events(self, record: Record) -> None:
        if self._events is None:
            self._events = tf.summary.create_file_writer(self._tensorboard)
        with self._events.as_default(step=record.step):
            for name, value in record.metrics.items():
                if isinstance(value, int | float):
                    tf.summary.scalar(f"{record.split}/{name}", value)
        self._events.flush()


def read_records(path: str) -> list[Record]:
    """The records of a metrics.jsonl; a last line cut short by a kill is left out."""
    if not tf.io.gfile.exists(path):
        return []
    with tf.io.gfile.GFile(path) as file:
        lines = file.read().split("\n")
    return [Record(**json.loads(line)) for line in lines[:-1]]


def _line(record: Record) -> str:
    return json.dumps(_finite(dataclasses.asdict(record))) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""Where the figures of a run go: JSON lines, TensorBoard, the console, memory."""

import dataclasses
import datetime
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TextIO

from tqdm import tqdm

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


class Console:
    """A progress bar on a terminal; elsewhere a plain line a report."""

    def __init__(self, total: int, initial: int, unit: str, stream: TextIO):
        """Begins the display at step `initial` of `total`; a step is called `unit`."""
        self._stream = stream
        self._total = total
        self._unit = unit
        self._bar: tqdm[Any] | None = None
        if stream.isatty():
            self._bar = tqdm(
                total=total, initial=initial, unit=f" {unit}", file=stream, dynamic_ncols=True
            )

    def advance(self, step: int, metrics: Mapping[str, float]) -> None:
        """Moves the bar; on anything but a terminal it does nothing."""
        if self._bar is not None:
            self._bar.set_postfix_str(_shown(metrics), refresh=False)
            self._bar.update(step - self._bar.n)

    def write(self, record: Record, steps_per_second: float = 0.0) -> None:
        """Shows one record on a line of its own, with rate and time left where known."""
        width = len(str(self._total))
        line = f"{self._unit} {record.step:>{width}}/{self._total}  {record.split:<5}"
        line += f"  {_shown(record.metrics)}"
        if steps_per_second and self._bar is None:
            left = datetime.timedelta(seconds=round((self._total - record.step) / steps_per_second))
            line += f"  {steps_per_second:,.0f} {self._unit}s/s  {left} left"
        self.say(line)

    def say(self, line: str) -> None:
        """Shows a line above the bar."""
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """Ends the bar and leaves the cursor on a fresh line."""
        if self._bar is not None:
            self._bar.close()


def _shown(metrics: Mapping[str, Value]) -> str:
    return "  ".join(
        f"{name} {value:.4g}" for name, value in metrics.items() if isinstance(value, int | float)
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

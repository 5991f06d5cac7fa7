"""Writers of records: metrics.jsonl with TensorBoard's event files, and memory."""

from typing import Protocol

from trainer.compat.keras import tf
from trainer.io.records import Record, append_record, read_records, write_records


class Writer(Protocol):
    """Anything that takes records."""

    def write(self, record: Record) -> None:
        """Takes one record."""

    def rewind(self, step: int) -> None:
        """Removes the records after a step, before a run resumes there."""


class Memory:
    """Keeps records in a list, for tests and for workers that write no files."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        """Takes one record."""
        self.records.append(record)

    def rewind(self, step: int) -> None:
        """Removes the records after a step."""
        self.records = [record for record in self.records if record.step <= step]


class Files:
    """metrics.jsonl, and TensorBoard's event files with the same scalars."""

    def __init__(self, jsonl: str, tensorboard: str):
        """Opens both on the first record; `<split>/<metric>` names a TensorBoard curve."""
        self._jsonl = jsonl
        self._tensorboard = tensorboard
        self._events: tf.summary.SummaryWriter | None = None

    def write(self, record: Record) -> None:
        """Adds one record to both; it is complete when the call returns.

        A metric that is not finite is null in JSON.
        """
        append_record(self._jsonl, record)
        self._write_events(record)

    def rewind(self, step: int) -> None:
        """Removes the records after a step, and a truncated last line.

        The event files are rewritten from the remaining records.
        """
        kept = [record for record in read_records(self._jsonl) if record.step <= step]
        if tf.io.gfile.exists(self._jsonl):
            write_records(self._jsonl, kept)
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

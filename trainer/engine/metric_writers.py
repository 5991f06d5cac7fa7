"""Writers of records: metrics.jsonl with TensorBoard's event files, and memory."""

from typing import Protocol

from trainer.compat.keras import tf
from trainer.io.records import Record, append_record, parse_line, read_lines, write_records


class Writer(Protocol):
    """Anything that takes records."""

    def write(self, record: Record) -> None:
        """Takes one record."""

    def rewind(self, count: int) -> int:
        """Removes all but the first records, before a run resumes there.

        Returns:
          How many of these first records were damaged, and are removed too.
        """


class Memory:
    """Keeps records in a list, for tests and for workers that write no files."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        """Takes one record."""
        self.records.append(record)

    def rewind(self, count: int) -> int:
        """Removes all but the first records."""
        self.records = self.records[:count]
        return 0


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

    def rewind(self, count: int) -> int:
        """Removes all but the first records, and damaged lines among them.

        The event files are rewritten from the remaining records.
        """
        records = [parse_line(line) for line in read_lines(self._jsonl)[:count]]
        kept = [record for record in records if record is not None]
        if tf.io.gfile.exists(self._jsonl):
            write_records(self._jsonl, kept)
        if tf.io.gfile.exists(self._tensorboard):
            tf.io.gfile.rmtree(self._tensorboard)
        self._events = None
        for record in kept:
            self._write_events(record)
        return len(records) - len(kept)

    def _write_events(self, record: Record) -> None:
        if self._events is None:
            self._events = tf.summary.create_file_writer(self._tensorboard)
        with self._events.as_default(step=record.step):
            for name, value in record.metrics.items():
                if isinstance(value, int | float):
                    tf.summary.scalar(f"{record.split}/{name}", value)
        self._events.flush()

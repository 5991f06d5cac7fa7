"""Writers of records: metrics.jsonl with TensorBoard's event files, and memory."""

from collections.abc import Sequence
from typing import Protocol

from trainer.config.loading import Experiment
from trainer.engine.event_files import EventFiles
from trainer.io.paths import to_path
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
    """metrics.jsonl, and TensorBoard's event files with the same metrics."""

    def __init__(
        self, jsonl: str, tensorboard: str, experiment: Experiment, classes: Sequence[str] = ()
    ):
        """Opens both on the first record.

        Args:
          jsonl: path of the file.
          tensorboard: folder of event files.
          experiment: shown by TensorBoard.
          classes: names for the elements of lists of the same length.
        """
        self._jsonl = jsonl
        self._events = EventFiles(tensorboard, experiment, classes)

    def write(self, record: Record) -> None:
        """Adds one record to both; it is complete when the call returns.

        A metric that is not finite is null in JSON.
        """
        append_record(self._jsonl, record)
        self._events.write(record)

    def rewind(self, count: int) -> int:
        """Removes all but the first records, and damaged lines among them.

        The event files are rewritten from the remaining records.
        """
        records = [parse_line(line) for line in read_lines(self._jsonl)[:count]]
        kept = [record for record in records if record is not None]
        if to_path(self._jsonl).exists():
            write_records(self._jsonl, kept)
        self._events.remove()
        for record in kept:
            self._events.write(record)
        return len(records) - len(kept)

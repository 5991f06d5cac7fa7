"""The status of a trial, and its outcome as written by the worker that ran it."""

import dataclasses
import enum
from pathlib import Path

from trainer.io import files


class TrialStatus(str, enum.Enum):
    """The status of a trial; the values are those of search.json and trial.json."""

    RUNNING = "running"
    WAITING = "waiting"  # interrupted; another worker will resume it
    FINISHED = "finished"
    STOPPED = "stopped"  # by median stopping
    FAILED = "failed"
    REFUSED = "refused"  # the configuration is invalid

    def __str__(self) -> str:
        return self.value

    @property
    def is_open(self) -> bool:
        """True until the trial has ended."""
        return self in (TrialStatus.RUNNING, TrialStatus.WAITING)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The content of trial.json.

    Attributes:
      status: finished, failed, refused or stopped; waiting if the worker releases the trial.
      score: the mean objective of a finished trial.
      reason: why the trial failed or was refused, in one line.
    """

    status: TrialStatus
    score: float | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """True if the trial has not ended."""
        return self.status.is_open

    def write(self, path: Path) -> None:
        """Writes the outcome atomically."""
        files.write_json(path, dataclasses.asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Outcome":
        """Reads an outcome."""
        content = files.read_json(path)
        return cls(TrialStatus(content["status"]), content["score"], content["reason"])

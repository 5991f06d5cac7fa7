"""How a trial ended, as whoever ran it wrote it down."""

import dataclasses
import json
from pathlib import Path

from trainer.tune import files


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The content of trial.json.

    Attributes:
      status: finished, failed, refused as wrong input, or stopped as hopeless.
      score: the mean objective of a finished trial.
      reason: why it failed or was refused, in one line.
    """

    status: str
    score: float | None
    reason: str

    def write(self, path: Path) -> None:
        """Writes it, whole."""
        files.write_json(path, dataclasses.asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Outcome":
        """Reads it back."""
        return cls(**json.loads(path.read_text()))

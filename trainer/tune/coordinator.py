"""Between a study and those who run its trials, in this process or on another host."""

from typing import Protocol

# What a claim brings instead of a trial.
WAIT, DONE = "wait", "done"
# What a beat answers.
GO_ON, STOP, LOST = "go on", "stop", "lost"


class Board(Protocol):
    """Where trials are given out and taken back. A worker has at most one at a time."""

    def claim(self, worker: str) -> str:
        """A trial's id; `WAIT` while there may be one later; `DONE` when there will be none."""

    def beat(self, worker: str, trial_id: str) -> str:
        """Says that the trial still runs.

        Returns:
          `GO_ON`; `STOP` for one that is hopeless; `LOST` for one that is another's by now.
        """

    def end(self, worker: str, trial_id: str) -> None:
        """Says that the trial's outcome is written."""

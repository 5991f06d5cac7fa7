"""The interface between a study and the workers that run its trials."""

import enum
from typing import Protocol


class NoTrial(enum.Enum):
    """The answer to a claim for which there is no trial."""

    WAIT = "wait"  # there may be one later
    DONE = "done"  # the search has no more trials


class HeartbeatReply(enum.Enum):
    """The answer to a heartbeat."""

    CONTINUE = "continue"
    STOP = "stop"  # median stopping ends the trial
    LOST = "lost"  # the trial has been assigned to another worker


class Coordinator(Protocol):
    """Assigns trials to workers. A worker has at most one trial at a time."""

    def claim(self, worker: str) -> str | NoTrial:
        """Returns the id of a trial for the worker, or why there is none."""

    def heartbeat(self, worker: str, trial_id: str) -> HeartbeatReply:
        """Records that the trial is still running."""

    def end(self, worker: str, trial_id: str) -> None:
        """Records that the outcome of the trial has been written."""

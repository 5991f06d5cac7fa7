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
    STOP = "stop"  # by median stopping or a time limit
    LOST = "lost"  # the trial has been assigned to another worker


class Coordinator(Protocol):
    """Assigns trials to workers.

    A worker has at most one trial at a time. Its name is unique among all processes of a search,
    earlier ones included, so that it also serves as the token of the trial's fence.
    """

    def claim(self, worker: str) -> str | NoTrial:
        """Returns the id of a trial for the worker, or why there is none."""

    def heartbeat(self, worker: str, trial_id: str) -> HeartbeatReply:
        """Records that the trial is still running."""

    def end(self, worker: str, trial_id: str) -> None:
        """Records that the outcome of the trial has been written; it may be a release."""

"""One trial of a search, and the choice of the best one."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from trainer.tune.outcome import TrialStatus
from trainer.tune.space import Objective, Value


@dataclasses.dataclass
class Trial:
    """One trial.

    Attributes:
      id, values, fraction, parent: as in `Proposal`.
      status: the status.
      worker: the worker that runs it, or ran it last; "" if that worker has released it.
      claims: the workers that ran it, in order.
      lost: how many of them were lost: they stopped replying, or their process was killed.
      started, ended: when it was last claimed and when it ended, seconds since 1970.
      seconds: how long it ran in earlier claims.
      score: the objective, if there is one.
      reason: why it failed, was refused or was stopped.
      baseline: True for the configuration as the user gave it.
    """

    id: str
    values: dict[str, Value]
    fraction: float
    parent: str
    status: TrialStatus = TrialStatus.RUNNING
    worker: str = ""
    claims: list[str] = dataclasses.field(default_factory=list)
    lost: int = 0
    started: float = 0.0
    ended: float = 0.0
    seconds: float = 0.0
    score: float | None = None
    reason: str = ""
    baseline: bool = False

    @property
    def is_open(self) -> bool:
        """True until the trial has ended."""
        return self.status.is_open


def trial_from_json(values: Mapping[str, Any]) -> Trial:
    """Returns a trial of search.json."""
    trial = Trial(**{**values, "status": TrialStatus(values["status"])})
    trial.values = {
        path: tuple(value) if isinstance(value, list) else value
        for path, value in trial.values.items()
    }
    return trial


def ranked(trials: Iterable[Trial], objective: Objective) -> list[Trial]:
    """Returns the finished trials, best first.

    Scores of runs of different lengths cannot be compared, so longer trials come first.
    """
    sign = -1 if objective.direction == "max" else 1
    finished = [trial for trial in trials if trial.status is TrialStatus.FINISHED]
    return sorted(finished, key=lambda trial: (-trial.fraction, sign * (trial.score or 0.0)))

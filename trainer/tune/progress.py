"""The progress of a search, in lines for the user."""

import datetime
import time
from collections.abc import Callable
from typing import TextIO

from trainer.tune.outcome import TrialStatus
from trainer.tune.study import Study


def summary(study: Study, parallel_trials: int, now: float) -> str:
    """Returns one line: trials done, running and failed, the best one, and the time left.

    Args:
      study: the search.
      parallel_trials: number of trials that run in parallel.
      now: seconds since 1970.
    """
    trials = list(study.trials.values())
    done = [trial for trial in trials if not trial.is_open]
    failed = sum(trial.status in (TrialStatus.FAILED, TrialStatus.REFUSED) for trial in trials)
    parts = [
        f"{len(done)} of {study.max_trials} done",
        f"{len(study.running)} running",
        f"{failed} failed",
    ]
    best = study.best
    if best is not None:
        parts.append(f"best {study.search.objective.name} {best.score:.5g} (trial {best.id})")
    seconds = seconds_left(study, parallel_trials, now)
    if study.limits.search_seconds:
        seconds = min(seconds, max(0.0, study.limits.search_seconds - study.seconds))
    if seconds:
        parts.append(f"about {datetime.timedelta(seconds=round(seconds))} left")
    return ", ".join(parts)


def seconds_left(study: Study, parallel_trials: int, now: float) -> float:
    """Returns the estimated time left, from the mean speed of finished trials; 0 if unknown."""
    trials = study.trials.values()
    finished = [trial for trial in trials if trial.status is TrialStatus.FINISHED]
    cost = sum(map(study.cost, finished))
    if not cost:
        return 0.0
    seconds_per_cost = sum(trial.ended - trial.started for trial in finished) / cost
    left = study.budget - sum(study.cost(trial) for trial in trials if not trial.is_open)
    elapsed = sum(
        min(now - trial.started, study.cost(trial) * seconds_per_cost) for trial in study.running
    )
    return max(0.0, (left * seconds_per_cost - elapsed) / max(1, parallel_trials))


class Progress:
    """Prints events, and the progress after each trial."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.time):
        """Prints to `stream`; `clock` returns seconds since 1970."""
        self._stream = stream
        self._clock = clock

    def log(self, line: str) -> None:
        """Prints a line."""
        print(line, file=self._stream, flush=True)

    def show(self, study: Study, parallel_trials: int) -> None:
        """Prints the progress of a search."""
        self.log(f"  {summary(study, parallel_trials, self._clock())}")

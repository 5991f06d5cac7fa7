"""How far a search is, in lines for the person who started it."""

import datetime
import time
from collections.abc import Callable
from typing import TextIO

from trainer.tune.study import Study


def summary(study: Study, at_once: int, now: float) -> str:
    """One line: trials done, running, failed; the best so far; the time that is left.

    Args:
      study: the search.
      at_once: trials that run side by side.
      now: seconds since 1970.
    """
    trials = list(study.trials.values())
    done = [trial for trial in trials if not trial.is_open]
    failed = sum(trial.status in ("failed", "refused") for trial in trials)
    parts = [
        f"{len(done)} of {study.max_trials} done",
        f"{len(study.running)} running",
        f"{failed} failed",
    ]
    best = study.best
    if best is not None:
        parts.append(f"best {study.search.objective.name} {best.score:.5g} (trial {best.id})")
    seconds = seconds_left(study, at_once, now)
    if seconds:
        parts.append(f"about {datetime.timedelta(seconds=round(seconds))} left")
    return ", ".join(parts)


def seconds_left(study: Study, at_once: int, now: float) -> float:
    """What is left to train at the mean pace of finished trials; 0 if nobody knows."""
    trials = study.trials.values()
    finished = [trial for trial in trials if trial.status == "finished"]
    trained = sum(map(study.trained, finished))
    if not trained:
        return 0.0
    pace = sum(trial.ended - trial.began for trial in finished) / trained
    left = study.work - sum(study.trained(trial) for trial in trials if not trial.is_open)
    begun = sum(min(now - trial.began, study.trained(trial) * pace) for trial in study.running)
    return max(0.0, (left * pace - begun) / max(1, at_once))


class Progress:
    """Says what happens, and how far the search is after each trial."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.time):
        """Writes to `stream`; `clock` gives seconds since 1970."""
        self._stream = stream
        self._clock = clock

    def say(self, line: str) -> None:
        """Shows a line."""
        print(line, file=self._stream, flush=True)

    def ended(self, study: Study, at_once: int) -> None:
        """Shows how far a search is."""
        self.say(f"  {summary(study, at_once, self._clock())}")

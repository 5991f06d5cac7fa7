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
    failed = sum(trial.status == "failed" for trial in trials)
    total = f" of {study.max_trials}" if study.max_trials else ""
    parts = [f"{len(done)}{total} done", f"{len(study.running)} running", f"{failed} failed"]
    best = study.best
    if best is not None:
        parts.append(f"best {study.search.objective.name} {best.score:.5g} (trial {best.id})")
    seconds = seconds_left(study, at_once, now)
    if seconds:
        parts.append(f"about {datetime.timedelta(seconds=round(seconds))} left")
    return ", ".join(parts)


def seconds_left(study: Study, at_once: int, now: float) -> float:
    """What the trials that are left would take at the mean pace so far; 0 if nobody knows."""
    trials = list(study.trials.values())
    took = [trial.ended - trial.began for trial in trials if trial.status == "finished"]
    if not took or not study.max_trials:
        return 0.0
    each = sum(took) / len(took)
    spent = sum(min(now - trial.began, each) for trial in trials if trial.status == "running")
    open_or_new = study.max_trials - sum(not trial.is_open for trial in trials)
    return max(0.0, (open_or_new * each - spent) / max(1, at_once))


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

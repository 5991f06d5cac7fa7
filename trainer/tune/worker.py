"""Running trials: claim one for each free slot, watch them, hand them back."""

import time
from collections.abc import Callable, Sequence

from trainer.engine.preemption import StopRequest
from trainer.errors import Interrupted
from trainer.tune.coordinator import DONE, LOST, STOP, WAIT, Board
from trainer.tune.resources import Share
from trainer.tune.trial_process import Plan, TrialProcess

_POLL_SECONDS = 0.2
# How often a study hears of a running trial, and is asked again after `WAIT`.
_BEAT_SECONDS = 1.0


class Slot:
    """A place where one trial after the other runs."""

    def __init__(self, name: str, share: Share):
        self.name = name
        self._share = share
        self._run: TrialProcess | None = None
        self._next_call = 0.0
        self.done = False

    def step(self, board: Board, plan: Plan) -> None:
        """Does what is due now."""
        if self._run is not None:
            self._watch(self._run, board, plan)
        elif not self.done and time.monotonic() >= self._next_call:
            self._next_call = time.monotonic() + _BEAT_SECONDS
            trial_id = board.claim(self.name)
            if trial_id == DONE:
                self.done = True
            elif trial_id != WAIT:
                self._run = TrialProcess(plan, trial_id, self._share)

    def _watch(self, run: TrialProcess, board: Board, plan: Plan) -> None:
        outcome = run.poll()
        if outcome is not None:
            outcome.write(plan.layout.outcome(run.trial_id))
            board.end(self.name, run.trial_id)
            self._run, self._next_call = None, 0.0
        elif time.monotonic() >= self._next_call:
            self._next_call = time.monotonic() + _BEAT_SECONDS
            answer = board.beat(self.name, run.trial_id)
            if answer == STOP:
                run.stop()
            elif answer == LOST:
                run.kill()
                self._run = None

    def save(self) -> None:
        """Asks its trial to save and end."""
        if self._run is not None:
            self._run.stop()

    @property
    def is_busy(self) -> bool:
        """Whether a process is running."""
        return self._run is not None and self._run.is_alive

    def kill(self) -> None:
        """Ends its trial at once."""
        if self._run is not None:
            self._run.kill()
            self._run = None


def work(
    board: Board,
    plan: Plan,
    name: str,
    shares: Sequence[Share],
    stop: StopRequest,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Runs trials until the board has no more.

    Args:
      board: where they come from.
      plan: how each is run.
      name: of this worker; its slots are called `name/0` and so on.
      shares: of the machine, one a slot.
      stop: ends the work with the trials' states saved.
      tick: called every round.

    Raises:
      Interrupted: when a stop was requested.
    """
    slots = [Slot(f"{name}/{number}", share) for number, share in enumerate(shares)]
    try:
        while not all(slot.done for slot in slots):
            if stop.requested:
                for slot in slots:
                    slot.save()
                while any(slot.is_busy for slot in slots):
                    time.sleep(_POLL_SECONDS)
                raise Interrupted("search stopped, the states of its trials saved")
            for slot in slots:
                slot.step(board, plan)
            tick()
            time.sleep(_POLL_SECONDS)
    finally:
        for slot in slots:
            slot.kill()

"""A worker: claims a trial for each free slot, runs it and reports its end."""

import contextlib
import secrets
import time
from collections.abc import Callable, Sequence

from trainer.engine.preemption import StopRequest
from trainer.engine.resources import Resources
from trainer.errors import Interrupted
from trainer.io.fence import Fenced
from trainer.tune.coordinator import Coordinator, HeartbeatReply, NoTrial
from trainer.tune.heartbeat import Heartbeat
from trainer.tune.outcome import Outcome, TrialStatus
from trainer.tune.trial_process import TrialProcess, TrialSettings

_POLL_SECONDS = 0.2
# Interval of claims after `NoTrial.WAIT`.
_CLAIM_SECONDS = 1.0


class Slot:
    """Runs one trial after another on a part of the machine."""

    def __init__(
        self, name: str, coordinator: Coordinator, settings: TrialSettings, resources: Resources
    ):
        """Claims its first trial in `step`; the other arguments are those of `run_trials`."""
        self.name = name
        self._coordinator = coordinator
        self._settings = settings
        self._resources = resources
        self._trial: TrialProcess | None = None
        self._heartbeat: Heartbeat | None = None
        self._next_claim = 0.0
        self.done = False

    def step(self) -> None:
        """Claims a trial, or polls the running one."""
        if self._trial is not None:
            with contextlib.suppress(Fenced):
                self._poll(self._trial)
                return
            self.kill()
        elif not self.done and time.monotonic() >= self._next_claim:
            self._next_claim = time.monotonic() + _CLAIM_SECONDS
            claimed = self._coordinator.claim(self.name)
            if isinstance(claimed, str):
                trial = TrialProcess(self._settings, claimed, self.name, self._resources)
                self._trial = trial
                self._heartbeat = Heartbeat(self._coordinator, self.name, claimed, trial.abandon)
            else:
                self.done = claimed is NoTrial.DONE

    def _poll(self, trial: TrialProcess) -> None:
        assert self._heartbeat is not None
        if self._heartbeat.check() is HeartbeatReply.STOP:
            trial.stop()
        outcome = trial.poll()
        if outcome is not None:
            self._end(trial, outcome)
            self._next_claim = 0.0

    def _end(self, trial: TrialProcess, outcome: Outcome) -> None:
        assert self._heartbeat is not None
        trial.write(outcome)
        self._heartbeat.close()
        self._coordinator.end(self.name, trial.trial_id)
        self._trial = self._heartbeat = None

    def stop(self) -> bool:
        """Asks the trial to save its state and exit; returns False once no process is running."""
        if self._trial is None or not self._trial.is_alive:
            return False
        self._trial.stop()
        return True

    def release(self) -> None:
        """Gives the trial back after its process has ended, for any worker to resume."""
        if self._trial is not None:
            with contextlib.suppress(Fenced):
                self._end(self._trial, Outcome(TrialStatus.WAITING))

    def kill(self) -> None:
        """Kills the trial."""
        if self._trial is not None and self._heartbeat is not None:
            self._trial.kill()
            self._heartbeat.close()
            self._trial = self._heartbeat = None


def run_trials(
    coordinator: Coordinator,
    settings: TrialSettings,
    name: str,
    resources: Sequence[Resources],
    stop: StopRequest,
    on_poll: Callable[[], None] = lambda: None,
) -> None:
    """Runs trials until the coordinator has no more.

    Args:
      coordinator: assigns the trials; several threads call it.
      settings: of all trials.
      name: of this worker; its slots are `name/0`, `name/1`, …, followed by a token, since
        two processes may have the same name, one after another or by mistake.
      resources: one entry per slot.
      stop: ends the work after the trials have saved their states.
      on_poll: called in every iteration.

    Raises:
      Interrupted: if a stop was requested.
    """
    token = secrets.token_hex(4)
    slots = [
        Slot(f"{name}/{number}@{token}", coordinator, settings, part)
        for number, part in enumerate(resources)
    ]
    try:
        while not all(slot.done for slot in slots):
            if stop.requested:
                # A list, because every slot must be asked.
                while any([slot.stop() for slot in slots]):  # noqa: C419
                    time.sleep(_POLL_SECONDS)
                for slot in slots:
                    slot.release()
                raise Interrupted("search stopped; the states of its trials are saved")
            for slot in slots:
                slot.step()
            on_poll()
            time.sleep(_POLL_SECONDS)
    finally:
        for slot in slots:
            slot.kill()

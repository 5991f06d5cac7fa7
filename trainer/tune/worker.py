"""A worker: claims a trial for each free slot, runs it and reports its end."""

import time
from collections.abc import Callable, Sequence

from trainer.engine.preemption import StopRequest
from trainer.errors import Interrupted
from trainer.tune.coordinator import Coordinator, HeartbeatReply, NoTrial
from trainer.tune.resources import Resources
from trainer.tune.trial_process import TrialProcess, TrialSettings

_POLL_SECONDS = 0.2
# Interval of heartbeats, and of claims after `NoTrial.WAIT`.
_HEARTBEAT_SECONDS = 1.0


class Slot:
    """Runs one trial after another on a part of the machine."""

    def __init__(self, name: str, resources: Resources):
        self.name = name
        self._resources = resources
        self._trial: TrialProcess | None = None
        self._next_call = 0.0
        self.done = False

    def step(self, coordinator: Coordinator, settings: TrialSettings) -> None:
        """Claims a trial, or polls the running one."""
        if self._trial is not None:
            self._poll(self._trial, coordinator, settings)
        elif not self.done and time.monotonic() >= self._next_call:
            self._next_call = time.monotonic() + _HEARTBEAT_SECONDS
            claimed = coordinator.claim(self.name)
            if isinstance(claimed, str):
                self._trial = TrialProcess(settings, claimed, self._resources)
            else:
                self.done = claimed is NoTrial.DONE

    def _poll(self, trial: TrialProcess, coordinator: Coordinator, settings: TrialSettings) -> None:
        outcome = trial.poll()
        if outcome is not None:
            outcome.write(settings.layout.outcome(trial.trial_id))
            coordinator.end(self.name, trial.trial_id)
            self._trial, self._next_call = None, 0.0
        elif time.monotonic() >= self._next_call:
            self._next_call = time.monotonic() + _HEARTBEAT_SECONDS
            reply = coordinator.heartbeat(self.name, trial.trial_id)
            if reply is HeartbeatReply.STOP:
                trial.stop()
            elif reply is HeartbeatReply.LOST:
                trial.kill()
                self._trial = None

    def stop(self) -> None:
        """Asks the trial to save its state and exit."""
        if self._trial is not None:
            self._trial.stop()

    @property
    def is_busy(self) -> bool:
        """True while a process is running."""
        return self._trial is not None and self._trial.is_alive

    def kill(self) -> None:
        """Kills the trial."""
        if self._trial is not None:
            self._trial.kill()
            self._trial = None


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
      coordinator: assigns the trials.
      settings: of all trials.
      name: of this worker; its slots are named `name/0`, `name/1`, ….
      resources: one entry per slot.
      stop: ends the work after the trials have saved their states.
      on_poll: called in every iteration.

    Raises:
      Interrupted: if a stop was requested.
    """
    slots = [Slot(f"{name}/{number}", part) for number, part in enumerate(resources)]
    try:
        while not all(slot.done for slot in slots):
            if stop.requested:
                for slot in slots:
                    slot.stop()
                while any(slot.is_busy for slot in slots):
                    time.sleep(_POLL_SECONDS)
                raise Interrupted("search stopped; the states of its trials are saved")
            for slot in slots:
                slot.step(coordinator, settings)
            on_poll()
            time.sleep(_POLL_SECONDS)
    finally:
        for slot in slots:
            slot.kill()

"""The training loop: it advances a task in chunks and runs the actions that are due.

The loop knows nothing of images or agents: a `Task` holds state and mathematics. Python runs
only between chunks; a run can be saved, stopped and resumed at every chunk boundary.
"""

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TextIO

from trainer.engine.checkpoints import CheckpointInfo, Checkpoints, State, restore
from trainer.engine.console import Console
from trainer.engine.metric_writers import Writer
from trainer.engine.schedule import Action, Schedule, steps_until_due
from trainer.errors import Interrupted, UserError
from trainer.io.records import Record, Value

# Duration of a chunk, seconds: short enough to stop soon after a signal.
_CHUNK_SECONDS = 1.0
# Workers must agree on the length of a chunk, so theirs cannot follow the clock.
_CHUNK_OF_SEVERAL_WORKERS = 50
# The throughput is announced once, after this much training.
_WARM_UP_SECONDS = 1.0


class Task(Protocol):
    """What the loop drives.

    Attributes:
      state: what a resume must restore: weights, optimizer, position.
      accumulators: the running sums behind `metrics`; saved too, but a checkpoint from before
        an accumulator was added can still be restored.
      steps_per_iteration: steps that one iteration counts: 1 update, or the environment steps
        of one collection.
      step_name: what a step is called.
    """

    state: State
    accumulators: State
    steps_per_iteration: int
    step_name: str

    @property
    def headline(self) -> Sequence[str]:
        """The metrics shown on the console, as `split/name`, the most important first."""

    def start(self, step: int) -> None:
        """Prepares to advance from `step`, after the state was restored."""

    def advance(self, iterations: int) -> float:
        """Runs iterations in one compiled call; returns the seconds it waited for input."""

    def metrics(self) -> Mapping[str, float]:
        """The metrics since the last `reset_metrics`, `loss` among them."""

    def reset_metrics(self) -> None:
        """Resets the accumulators behind `metrics`."""

    def throughput(self, steps_per_second: float) -> Mapping[str, float]:
        """The rate in the task's own units, by name."""

    def evaluate(self) -> Mapping[str, Value]:
        """The metrics that select the best checkpoint; empty without a validation split."""

    def scale_learning_rate(self, factor: float) -> None:
        """Multiplies the configured learning rate of all later updates by `factor`."""


@dataclasses.dataclass
class LoopState:
    """The loop's own state, saved as JSON in each checkpoint's manifest.

    Attributes:
      step: steps done.
      last_action_step: the last step whose due actions have been run.
      total_steps: the schedule's length when this was saved.
      best_step: the step of the best evaluation; -1 before the first.
      best_value: its metric.
      evaluations_since_best: what early stopping counts.
      rollbacks: number of roll-backs so far.
      stopped_early: whether early stopping ended the run.
      train_seconds: time spent in `advance`, over all processes of the run.
    """

    step: int = 0
    last_action_step: int = 0
    total_steps: int = 0
    best_step: int = -1
    best_value: float = 0.0
    evaluations_since_best: int = 0
    rollbacks: int = 0
    stopped_early: bool = False
    train_seconds: float = 0.0

    def finished(self, total_steps: int) -> bool:
        """Whether nothing is left to do in a run of `total_steps`."""
        ended = self.step >= total_steps or (self.stopped_early and self.total_steps == total_steps)
        return ended and self.last_action_step == self.step


@dataclasses.dataclass
class Timing:
    """Seconds spent in this process, and the steps done in them."""

    compile: float = 0.0
    train: float = 0.0
    evaluate: float = 0.0
    input_wait: float = 0.0
    steps: int = 0

    def add_chunk(self, steps: int, seconds: float, input_wait: float) -> None:
        """Adds one chunk."""
        self.steps += steps
        self.train += seconds
        self.input_wait += input_wait

    def describe(self) -> str:
        """One line: compilation, and the shares of computation and input."""
        return (
            f"compiled in {self.compile:.1f} s; {1 - self.input_wait_fraction:.0%} of the time "
            f"computing, {self.input_wait_fraction:.0%} waiting for input"
        )

    @property
    def steps_per_second(self) -> float:
        """Rate without compilation."""
        return self.steps / self.train if self.train else 0.0

    @property
    def input_wait_fraction(self) -> float:
        """Fraction of the training time spent waiting for input."""
        return self.input_wait / self.train if self.train else 0.0


class Loop:
    """Drives a task from its newest checkpoint to the end of the schedule."""

    def __init__(
        self,
        task: Task,
        schedule: Schedule,
        checkpoints: Checkpoints,
        writer: Writer,
        stop_requested: Callable[[], bool],
        several_workers: bool = False,
        stream: TextIO = sys.stderr,
        clock: Callable[[], float] = time.time,
    ):
        """Sets up the actions; `run` starts the work.

        Args:
          task: what to drive.
          schedule: length and cadence.
          checkpoints: where state is saved; `run` resumes from the newest.
          writer: receives every record.
          stop_requested: asked once per chunk; all workers must agree on the answer.
          several_workers: whether several processes must run chunks of equal length.
          stream: where progress is shown.
          clock: seconds since 1970.
        """
        self._task = task
        self._schedule = schedule
        self._checkpoints = checkpoints
        self._writer = writer
        self._stop_requested = stop_requested
        self._several_workers = several_workers
        self._stream = stream
        self._clock = clock
        self._saved: LoopState | None = None
        self._save_is_due = False
        self._timing_is_shown = False
        self._console: Console
        self.state = LoopState(total_steps=schedule.total_steps)
        self.timing = Timing()
        self._actions = (
            Action(0, at_end=True, run=self._stop_if_requested),
            Action(schedule.report_every, at_end=True, run=self._report),
            Action(schedule.evaluate_every, at_end=True, run=self._evaluate),
            Action(schedule.checkpoint_every, at_end=False, run=self._request_save),
        )

    def run(self) -> None:
        """Trains to the end of the schedule, or until early stopping.

        Raises:
          Interrupted: when a stop was requested; the state is saved.
          UserError: when the loss is still not finite after all roll-backs.
        """
        found, skipped = self._checkpoints.newest()
        task = self._task
        self._console = Console(
            self._schedule.total_steps,
            found.step if found else 0,
            task.step_name,
            task.headline,
            self._stream,
            self._clock,
        )
        try:
            for reason in skipped:
                self._console.say(f"{reason}; falling back to the previous checkpoint")
            if found:
                self._restore(found)
                self._console.say(f"resuming at {task.step_name} {found.step} from {found.path}")
            if not self.state.finished(self._schedule.total_steps):
                self._run()
        finally:
            self._console.close()

    def _run(self) -> None:
        total = self._schedule.total_steps
        self.state = dataclasses.replace(self.state, total_steps=total, stopped_early=False)
        self._task.start(self.state.step)
        self._save()
        chunk = 1
        while True:
            self._run_due_actions()
            if self.state.step >= total or self.state.stopped_early:
                break
            chunk = self._advance(chunk)
        self._save()

    def _run_due_actions(self) -> None:
        """Runs the actions due at this step.

        A run that stopped before its reports and evaluations runs them on resuming; one that
        stopped after them does not run them again.
        """
        step = self.state.step
        is_new = self.state.last_action_step < step
        for action in self._actions:
            if action.is_due(step, self._schedule.total_steps) and (is_new or not action.every):
                action.run()
        self._console.show(step, self.timing.steps_per_second)
        self.state.last_action_step = step
        # Last, so that the checkpoint records that the other actions have been run.
        if self._save_is_due:
            self._save()
        self._save_is_due = False

    def _stop_if_requested(self) -> None:
        if self._stop_requested():
            self._save()
            raise Interrupted(f"stopped at {self._task.step_name} {self.state.step}, state saved")

    def _report(self) -> None:
        metrics = {
            **self._task.metrics(),
            **self._task.throughput(self.timing.steps_per_second),
        }
        self._write("train", metrics)
        self._task.reset_metrics()

    def _evaluate(self) -> None:
        started = time.perf_counter()
        metrics = self._task.evaluate()
        self.timing.evaluate += time.perf_counter() - started
        if metrics:
            self._write("eval", metrics)
            value: Any = metrics[self._schedule.best_metric]
            self._compare_with_best(float(value))

    def _request_save(self) -> None:
        self._save_is_due = True

    def _restore(self, found: CheckpointInfo) -> None:
        self._task.reset_metrics()
        restore(found, self._task.state, self._task.accumulators)
        self.state = LoopState(**found.loop_state)
        self._saved = dataclasses.replace(self.state)
        self._writer.rewind(self.state.last_action_step)

    def _save(self) -> None:
        """Saves, unless the newest checkpoint already holds exactly this state."""
        if self.state == self._saved:
            return
        state = dataclasses.replace(self.state)
        self._checkpoints.save(
            state.step,
            self._task.state,
            self._task.accumulators,
            dataclasses.asdict(state),
            state.best_step,
        )
        self._saved = state

    def _advance(self, limit: int) -> int:
        """Runs one chunk; returns the maximum number of iterations of the next one."""
        steps_per_iteration = self._task.steps_per_iteration
        until_due = steps_until_due(self._actions, self.state.step, self._schedule.total_steps)
        iterations = min(limit, -(-until_due // steps_per_iteration))
        started = time.perf_counter()
        input_wait = self._task.advance(iterations)
        metrics = self._task.metrics()
        seconds = time.perf_counter() - started
        self.state.step += iterations * steps_per_iteration
        self.state.train_seconds += seconds
        if not math.isfinite(metrics["loss"]):
            self._roll_back(metrics["loss"])
            return limit
        self._console.advance(self.state.step, metrics)
        self._count_time(iterations * steps_per_iteration, seconds, input_wait)
        if self._several_workers:
            return _CHUNK_OF_SEVERAL_WORKERS
        return max(1, min(limit * 8, int(iterations * _CHUNK_SECONDS / seconds)))

    def _count_time(self, steps: int, seconds: float, input_wait: float) -> None:
        if not self.timing.compile:
            # The first chunk is one iteration, nearly all of it compilation.
            self.timing.compile = seconds
            return
        self.timing.add_chunk(steps, seconds, input_wait)
        if not self._timing_is_shown and self.timing.train >= _WARM_UP_SECONDS:
            self._timing_is_shown = True
            self._console.say(self.timing.describe())

    def _write(self, split: str, metrics: Mapping[str, Value]) -> None:
        record = Record(self.state.step, split, self._clock(), metrics)
        self._writer.write(record)
        self._console.write(record)

    def _compare_with_best(self, value: float) -> None:
        state = self.state
        gain = value - state.best_value
        if not self._schedule.more_is_better:
            gain = -gain
        first = state.best_step < 0
        if first or gain >= 0:
            # Of equal evaluations the later one has trained longer.
            state.best_step, state.best_value = state.step, value
            self._request_save()
        if first or gain > 0:
            state.evaluations_since_best = 0
        else:
            state.evaluations_since_best += 1
            patience = self._schedule.early_stopping
            state.stopped_early = 0 < patience <= state.evaluations_since_best

    def _roll_back(self, loss: float) -> None:
        step, rollbacks = self.state.step, self.state.rollbacks + 1
        step_name = self._task.step_name
        if rollbacks > self._schedule.nan_rollbacks:
            raise UserError(
                f"the loss is {loss} at {step_name} {step}, after {rollbacks - 1} roll-backs; "
                "lower optimizer.learning_rate, or clip the gradients with optimizer.clip_norm"
            )
        found, _ = self._checkpoints.newest()
        assert found is not None, "a run saves its state before its first step"
        self._restore(found)
        self.state.rollbacks = rollbacks
        self._task.start(self.state.step)
        self._task.scale_learning_rate(0.5**rollbacks)
        self._console.say(
            f"the loss is {loss} at {step_name} {step}; rolling back to {found.step} with the "
            f"learning rate times {0.5**rollbacks}"
        )

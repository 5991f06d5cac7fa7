"""The training loop: it advances a task in chunks and runs the actions that are due.

The loop knows nothing of images or agents: a `Task` holds state and mathematics. Python runs
only between chunks; a run can be saved, stopped and resumed at every chunk boundary.
"""

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TextIO

from trainer.compat.keras import tf
from trainer.engine.checkpoints import CheckpointInfo, Checkpoints, State
from trainer.engine.console import Console
from trainer.engine.loop_state import LoopState, Timing
from trainer.engine.metric_writers import Writer
from trainer.engine.profiling import Profiler
from trainer.engine.schedule import Action, Schedule, steps_until_due
from trainer.errors import Interrupted, UserError
from trainer.io.records import Record, Value

# Duration of a chunk, seconds: short enough to stop soon after a signal.
_CHUNK_SECONDS = 1.0
# The throughput is announced once, after this much training.
_WARM_UP_SECONDS = 1.0


class Task(Protocol):
    """What the loop drives.

    Attributes:
      state: what a resume must restore: weights, optimizer, position.
      local_state: what belongs to this process alone: environments and experience. Each worker of
        a job saves its own.
      accumulators: the running sums behind `metrics`; saved too, but a checkpoint from before
        an accumulator was added can still be restored.
      best_state: what is kept of the best checkpoint; None: all of it.
      parameters: what an update changes, weights and the optimizer's variables.
      steps_per_iteration: steps that one iteration counts: 1 update, or the environment steps
        of one collection.
      step_name: what a step is called.
    """

    state: State
    local_state: State
    accumulators: State
    best_state: State | None
    parameters: Sequence[tf.Variable]
    steps_per_iteration: int
    step_name: str

    @property
    def headline(self) -> Sequence[str]:
        """The metrics shown on the console, as `split/name`, the most important first."""

    def start(self, step: int) -> None:
        """Prepares to advance from `step`, after the state was restored."""

    def advance(self, iterations: int) -> float:
        """Runs iterations in one compiled call; returns the seconds it waited for input."""

    def metrics(self) -> Mapping[str, Value]:
        """The metrics since the last `reset_metrics`, `loss` among them."""

    def reset_metrics(self) -> None:
        """Resets the accumulators behind `metrics`."""

    def throughput(self, steps_per_second: float) -> Mapping[str, float]:
        """The rate in the task's own units, by name."""

    def evaluate(self) -> Mapping[str, Value]:
        """The metrics that select the best checkpoint; empty without a validation split."""

    def scale_learning_rate(self, factor: float) -> None:
        """Multiplies the configured learning rate of all later updates by `factor`."""


class Loop:
    """Drives a task from its newest checkpoint to the end of the schedule."""

    def __init__(
        self,
        task: Task,
        schedule: Schedule,
        checkpoints: Checkpoints,
        writer: Writer,
        stop_requested: Callable[[], bool],
        stop_at_once: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
        agreed_chunk: Callable[[int], int] = lambda iterations: iterations,
        stream: TextIO = sys.stderr,
        clock: Callable[[], float] = time.time,
        profiler: Profiler | None = None,
    ):
        """Sets up the actions; `run` starts the work.

        Args:
          task: what to drive.
          schedule: length and cadence.
          checkpoints: where state is saved; `run` resumes from the newest.
          writer: receives every record.
          stop_requested: asked once per chunk; all workers must agree on the answer.
          stop_at_once: a context, with what is saved, in which a stop need not be asked for.
          agreed_chunk: the maximum length of the next chunk, on which all workers must agree,
            from this worker's proposal.
          stream: where progress is shown.
          clock: seconds since 1970.
          profiler: traces some steps; all workers must have the same borders.
        """
        self._task = task
        self._schedule = schedule
        self._checkpoints = checkpoints
        self._writer = writer
        self._stop_requested = stop_requested
        self._stop_at_once = stop_at_once
        self._agreed_chunk = agreed_chunk
        self._stream = stream
        self._clock = clock
        self._profiler = profiler or Profiler()
        # Traced once per loop: a trace shared by networks of different ranks would be wrong.
        self._are_finite = tf.function(lambda: _are_finite(task.parameters))
        self._saved: LoopState | None = None
        self._loss = 0.0
        self._timing_is_shown = False
        self._console: Console
        self.state = LoopState(total_steps=schedule.total_steps)
        self.timing = Timing()
        self._actions = (
            Action(schedule.report_every, at_end=True, run=self._report),
            Action(schedule.evaluate_every, at_end=True, run=self._evaluate),
            Action(schedule.checkpoint_every, at_end=False, run=self._save),
        )

    def run(self) -> None:
        """Trains to the end of the schedule, or until early stopping.

        Raises:
          Interrupted: when a stop was requested; the state is saved.
          UserError: when loss or weights are still not finite after all roll-backs.
        """
        found, damaged = self._checkpoints.newest()
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
            for reason in damaged:
                self._console.say(f"{reason}; falling back to the previous checkpoint")
            if not found and (partial := self._checkpoints.newest_partial()):
                # A new start would remove it.
                raise UserError(
                    "no checkpoint is left to resume from; train in another --workdir. Received: "
                    f"{partial.path}, which holds the best agent only"
                )
            if damaged and not found:
                self._console.say("no complete checkpoint is left; starting again at step 0")
            if found:
                self._restore(found)
                self._console.say(f"resuming at {task.step_name} {found.step} from {found.path}")
            else:
                self._rewind_records()
            if not self.state.finished(self._schedule.total_steps):
                self._say(self._profiler.missed(self.state.step, self._schedule.total_steps))
                self._run()
        finally:
            self._say(self._profiler.stop(self.state.step, is_last=True))
            self._console.close()

    def _run(self) -> None:
        total = self._schedule.total_steps
        self.state = dataclasses.replace(self.state, total_steps=total, stopped_early=False)
        with self._stop_at_once(self._stopped_message()):
            self._task.start(self.state.step)
            self._save()
        chunk = 1
        while True:
            is_stopping = self._stop_requested()
            if problem := self._problem(is_stopping):
                self._roll_back(problem)
            if is_stopping:
                self._save()
                raise Interrupted(self._stopped_message())
            self._run_due_actions()
            if self.state.step >= total or self.state.stopped_early:
                break
            self._profiler.start(self.state.step)
            chunk = self._advance(chunk)
            self._say(self._profiler.stop(self.state.step))
        self._save()

    def _run_due_actions(self) -> None:
        """Runs the actions due at this step.

        A run that stopped before its reports and evaluations runs them on resuming; one that
        stopped after them does not run them again.
        """
        for action in self._actions:
            if action.is_due(self.state.step, self._schedule.total_steps):
                action.run()
        self._console.show(self.state.step, self.timing.steps_per_second)

    def _report(self) -> None:
        if self.state.reported_step == self.state.step:
            return
        metrics = {
            **self._task.metrics(),
            **self._task.throughput(self.timing.steps_per_second),
        }
        self._write("train", metrics)
        self._task.reset_metrics()
        self.state.reported_step = self.state.step

    def _evaluate(self) -> None:
        if self.state.evaluated_step == self.state.step:
            return
        # Evaluations can take minutes, in which a stop must not lose anything.
        self._save()
        started = time.perf_counter()
        with self._stop_at_once(self._stopped_message()):
            metrics = self._task.evaluate()
        self.timing.evaluate += time.perf_counter() - started
        if metrics:
            self._write("eval", metrics)
            value: Any = metrics[self._schedule.best_metric]
            self._compare_with_best(float(value))
        self.state.evaluated_step = self.state.step
        if self.state.best_step == self.state.step:
            self._save()

    def _say(self, line: str) -> None:
        if line:
            self._console.say(line)

    def _stopped_message(self) -> str:
        return f"stopped at {self._task.step_name} {self.state.step}, state saved"

    def _restore(self, found: CheckpointInfo) -> None:
        self._task.reset_metrics()
        task = self._task
        self._checkpoints.restore(found, task.state, task.accumulators, task.local_state)
        self.state = LoopState(**found.loop_state)
        self._saved = dataclasses.replace(self.state)
        self._rewind_records()

    def _rewind_records(self) -> None:
        if damaged := self._writer.rewind(self.state.records):
            self._console.say(f"{damaged} damaged lines of the metrics are removed")
            self.state.records -= damaged

    def _save(self) -> None:
        """Saves, unless the newest checkpoint already holds exactly this state."""
        if self.state == self._saved:
            return
        task = self._task
        state = dataclasses.replace(self.state)
        loop_state = dataclasses.asdict(state)
        if state.has_variables_of(self._saved):
            self._checkpoints.update(state.step, loop_state, state.best_step, task.best_state)
        else:
            self._checkpoints.save(
                state.step,
                task.state,
                task.accumulators,
                loop_state,
                state.best_step,
                task.local_state,
                task.best_state,
            )
        self._saved = state

    def _problem(self, is_stopping: bool) -> str:
        """What keeps the run from going on, or from being saved; empty if nothing does."""
        if not math.isfinite(self._loss):
            return f"the loss is {self._loss}"
        step, total = self.state.step, self._schedule.total_steps
        may_save = is_stopping or any(action.is_due(step, total) for action in self._actions)
        # The loss was computed before the last update.
        if may_save and not bool(self._are_finite()):
            return "weights are not finite"
        return ""

    def _advance(self, limit: int) -> int:
        """Runs one chunk; returns the maximum number of iterations of the next one."""
        steps_per_iteration = self._task.steps_per_iteration
        step, total = self.state.step, self._schedule.total_steps
        until_due = steps_until_due(self._actions, step, total, self._profiler.borders)
        iterations = min(limit, -(-until_due // steps_per_iteration))
        started = time.perf_counter()
        # The first chunk compiles, and has nothing to lose that a checkpoint lacks.
        is_first = not self.timing.compile
        context = self._stop_at_once(self._stopped_message()) if is_first else nullcontext()
        # TensorBoard's profile plugin shows the duration of each step of this name.
        with context, tf.profiler.experimental.Trace("train", step_num=step, _r=1):
            input_wait = self._task.advance(iterations)
            loss = self._task.metrics()["loss"]
        seconds = time.perf_counter() - started
        self.state.step += iterations * steps_per_iteration
        self.state.train_seconds += seconds
        assert isinstance(loss, float), "the loss is a number"
        self._loss = loss
        self._console.advance(self.state.step, loss)
        self._count_time(iterations * steps_per_iteration, seconds, input_wait)
        return self._agreed_chunk(
            max(1, min(limit * 8, int(iterations * _CHUNK_SECONDS / seconds)))
        )

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
        self.state.records += 1
        self._console.write(record)

    def _compare_with_best(self, value: float) -> None:
        state = self.state
        gain = value - state.best_value
        if not self._schedule.more_is_better:
            gain = -gain
        first = state.best_step < 0
        if math.isfinite(value) and (first or gain >= 0):
            # Of equal evaluations the later one has trained longer.
            state.best_step, state.best_value = state.step, value
        if first or gain > 0:
            state.evaluations_since_best = 0
        else:
            state.evaluations_since_best += 1
            patience = self._schedule.early_stopping
            state.stopped_early = 0 < patience <= state.evaluations_since_best
        state.stopped_early = state.stopped_early or self._schedule.is_reached(value)

    def _roll_back(self, problem: str) -> None:
        """Restores a checkpoint: the k-th roll-back the k-th newest, or the oldest there is."""
        step, rollbacks = self.state.step, self.state.rollbacks + 1
        step_name = self._task.step_name
        if rollbacks > self._schedule.nan_rollbacks:
            raise UserError(
                f"{problem} at {step_name} {step}, after {rollbacks - 1} roll-backs; lower "
                "optimizer.learning_rate, or clip the gradients with optimizer.clip_norm"
            )
        found, _ = self._checkpoints.newest(skip=rollbacks - 1)
        assert found is not None, "a run saves its state before its first step"
        self._restore(found)
        self.state.rollbacks = rollbacks
        self._loss = 0.0
        self._task.start(self.state.step)
        self._task.scale_learning_rate(0.5**rollbacks)
        # Removes the later checkpoints, so that a resumed run does not return to them.
        self._save()
        self._console.say(
            f"{problem} at {step_name} {step}; rolling back to {found.step} with the learning "
            f"rate times {0.5**rollbacks}"
        )


def _are_finite(tensors: Sequence[tf.Variable]) -> tf.Tensor:
    """Whether all values of all float tensors are finite, scalar bool."""
    return tf.reduce_all(
        [tf.reduce_all(tf.math.is_finite(tensor)) for tensor in tensors if tensor.dtype.is_floating]
    )

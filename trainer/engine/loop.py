"""The one training loop: cadence, evaluation, checkpoints, stopping, roll-back, reports.

It knows nothing of images or agents: a `Task` owns state and mathematics. Python takes
part only at chunk borders; every border is a place to save, to stop and to go on from.
"""

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Protocol, TextIO

from trainer.compat.keras import tf
from trainer.engine.checkpoints import Checkpoints, Found, restore
from trainer.engine.metric_writers import Console, Record, Value, Writer
from trainer.errors import Interrupted, UserError

# A chunk lasts about so long: short enough to stop soon after a signal.
_CHUNK_SECONDS = 1.0
# All workers must agree on a chunk's length, so theirs cannot follow the clock.
_CHUNK_OF_SEVERAL_WORKERS = 50
# Where the time goes is said once, after so much of it.
_WARM_SECONDS = 1.0


class Task(Protocol):
    """What the loop drives.

    Attributes:
      state: everything in TensorFlow that a resume needs, metric accumulators included.
      stride: steps that one iteration counts: 1 update, or the environment steps of a
        collection.
      unit: what a step is called.
    """

    state: tf.train.Checkpoint
    stride: int
    unit: str

    def start(self, step: int) -> None:
        """Makes ready to advance from `step`, after the state was restored."""

    def advance(self, iterations: int) -> float:
        """Runs iterations in one compiled call; returns the seconds it waited for input."""

    def metrics(self) -> Mapping[str, float]:
        """The means since the last `reset_metrics`, `loss` among them."""

    def reset_metrics(self) -> None:
        """Empties the accumulators behind `metrics`."""

    def evaluate(self) -> Mapping[str, Value]:
        """The metrics that choose the best checkpoint; empty where there is no such split."""

    def scale_learning_rate(self, factor: float) -> None:
        """Makes every later step size `factor` times the configured one."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """When what happens, in steps.

    Attributes:
      total: where the run ends.
      report_every, evaluate_every, checkpoint_every: cadence, each a multiple of the
        task's stride.
      best_metric: the metric of `evaluate` that chooses the best checkpoint.
      best_is_max: whether more of it is better.
      early_stopping: evaluations without a better one that end the run; 0 is off.
      nan_rollbacks: how often a loss that is not finite is answered by going back.
    """

    total: int
    report_every: int
    evaluate_every: int
    checkpoint_every: int
    best_metric: str
    best_is_max: bool
    early_stopping: int
    nan_rollbacks: int


@dataclasses.dataclass
class LoopState:
    """The loop's own state, kept as JSON in each checkpoint's manifest.

    Attributes:
      step: steps done.
      settled: the last step whose border work (report, evaluation) is done.
      total: the plan's total when this was saved.
      best_step: the step of the best evaluation; -1 before the first.
      best_value: its metric.
      evaluations_since_best: what early stopping counts.
      rollbacks: how often the run went back.
      stopped_early: whether early stopping ended it.
      train_seconds: time spent in `advance`, over all processes of the run.
    """

    step: int = 0
    settled: int = 0
    total: int = 0
    best_step: int = -1
    best_value: float = 0.0
    evaluations_since_best: int = 0
    rollbacks: int = 0
    stopped_early: bool = False
    train_seconds: float = 0.0

    def finished(self, total: int) -> bool:
        """Whether nothing is left to do for a plan of `total` steps."""
        ended = self.step >= total or (self.stopped_early and self.total == total)
        return ended and self.settled == self.step


@dataclasses.dataclass
class Timing:
    """Seconds of this process, and the steps behind them."""

    compile: float = 0.0
    train: float = 0.0
    evaluate: float = 0.0
    input_wait: float = 0.0
    steps: int = 0
    _announced: bool = False

    def count(self, steps: int, seconds: float, waited: float) -> None:
        """Adds one chunk."""
        self.steps += steps
        self.train += seconds
        self.input_wait += waited

    def is_warm(self) -> bool:
        """Whether the figures mean something; true once."""
        announce = not self._announced and self.train >= _WARM_SECONDS
        self._announced = self._announced or announce
        return announce

    def describe(self, unit: str) -> str:
        """One line: where the time goes."""
        return (
            f"compile {self.compile:.1f} s; then {self.steps_per_second:,.0f} {unit}s/s: "
            f"{1 - self.input_wait_fraction:.0%} compute, "
            f"{self.input_wait_fraction:.0%} waiting for input"
        )

    @property
    def steps_per_second(self) -> float:
        """Rate after compilation."""
        return self.steps / self.train if self.train else 0.0

    @property
    def input_wait_fraction(self) -> float:
        """Share of the training time spent waiting for input."""
        return self.input_wait / self.train if self.train else 0.0


class Loop:
    """Drives a task from wherever its newest checkpoint is to the end of the plan."""

    def __init__(
        self,
        task: Task,
        plan: Plan,
        checkpoints: Checkpoints,
        writer: Writer,
        stop_requested: Callable[[], bool],
        several_workers: bool = False,
        stream: TextIO = sys.stderr,
        clock: Callable[[], float] = time.time,
    ):
        """Sets up; `run` does the work.

        Args:
          task: what to drive.
          plan: when what happens.
          checkpoints: where state is saved; `run` goes on from the newest.
          writer: takes every record.
          stop_requested: asked once a chunk; all workers must agree on the answer.
          several_workers: whether chunks must be of equal length on several processes.
          stream: where progress is shown.
          clock: seconds since 1970.
        """
        self._task = task
        self._plan = plan
        self._checkpoints = checkpoints
        self._writer = writer
        self._stop_requested = stop_requested
        self._several_workers = several_workers
        self._stream = stream
        self._clock = clock
        self._saved: LoopState | None = None
        self.state = LoopState(total=plan.total)
        self.timing = Timing()

    def run(self) -> None:
        """Trains to the end of the plan, or to an early stop.

        Raises:
          Interrupted: when a stop was requested; the state is saved.
          UserError: when the loss stays not finite after all roll-backs.
        """
        found, complaints = self._checkpoints.newest()
        start = found.step if found else 0
        console = Console(self._plan.total, start, self._task.unit, self._stream)
        try:
            for complaint in complaints:
                console.say(f"{complaint}: using the one before")
            if found:
                self._take_over(found)
                console.say(f"resuming at {self._task.unit} {found.step} from {found.path}")
            if not self.state.finished(self._plan.total):
                self._run(console)
        finally:
            console.close()

    def _run(self, console: Console) -> None:
        self.state = dataclasses.replace(self.state, total=self._plan.total, stopped_early=False)
        self._task.start(self.state.step)
        self._save()
        chunk = 1
        while True:
            if self._stop_requested():
                self._save()
                raise Interrupted(f"stopped at {self._task.unit} {self.state.step}, state saved")
            if self.state.settled < self.state.step:
                self._settle(console)
            if self.state.step >= self._plan.total or self.state.stopped_early:
                break
            chunk = self._advance(console, chunk)
        self._save()

    def _take_over(self, found: Found) -> None:
        restore(found, self._task.state)
        self.state = LoopState(**found.loop_state)
        self._saved = dataclasses.replace(self.state)
        self._writer.rewind(self.state.settled)

    def _save(self) -> None:
        """Saves unless the newest checkpoint is of this very state."""
        if self.state == self._saved:
            return
        state = dataclasses.replace(self.state)
        self._checkpoints.save(
            state.step, self._task.state, dataclasses.asdict(state), state.best_step
        )
        self._saved = state

    def _advance(self, console: Console, limit: int) -> int:
        """Runs one chunk; returns the most iterations the next one should have."""
        iterations = min(limit, -(-self._steps_to_border() // self._task.stride))
        started = time.perf_counter()
        waited = self._task.advance(iterations)
        metrics = self._task.metrics()
        seconds = time.perf_counter() - started
        self.state.step += iterations * self._task.stride
        self.state.train_seconds += seconds
        if not math.isfinite(metrics["loss"]):
            self._roll_back(console)
            return limit
        console.advance(self.state.step, metrics)
        if not self.timing.compile:
            # The first chunk is one iteration, nearly all of it compilation.
            self.timing.compile = seconds
        else:
            self.timing.count(iterations * self._task.stride, seconds, waited)
            if self.timing.is_warm():
                console.say(self.timing.describe(self._task.unit))
        if self._several_workers:
            return _CHUNK_OF_SEVERAL_WORKERS
        return max(1, min(limit * 8, int(iterations * _CHUNK_SECONDS / seconds)))

    def _steps_to_border(self) -> int:
        step, plan = self.state.step, self._plan
        cadences = (plan.report_every, plan.evaluate_every, plan.checkpoint_every)
        return min(plan.total - step, *(every - step % every for every in cadences))

    def _settle(self, console: Console) -> None:
        """Does what is due at this step; a run stopped before that does it on resuming."""
        step, plan, state = self.state.step, self._plan, self.state
        ending = step >= plan.total
        if ending or step % plan.report_every == 0:
            self._report("train", self._task.metrics(), console)
            self._task.reset_metrics()
        if ending or step % plan.evaluate_every == 0:
            started = time.perf_counter()
            metrics = self._task.evaluate()
            self.timing.evaluate += time.perf_counter() - started
            if metrics:
                self._report("eval", metrics, console)
                self._judge(float(metrics[plan.best_metric]))  # type: ignore[arg-type]
        state.settled = step
        if state.best_step == step or step % plan.checkpoint_every == 0:
            self._save()

    def _report(self, split: str, metrics: Mapping[str, Value], console: Console) -> None:
        record = Record(self.state.step, split, self._clock(), metrics)
        self._writer.write(record)
        console.write(record, self.timing.steps_per_second if split == "train" else 0.0)

    def _judge(self, value: float) -> None:
        state = self.state
        gain = value - state.best_value if self._plan.best_is_max else state.best_value - value
        first = state.best_step < 0
        if first or gain >= 0:
            # Among equals the later one has learnt longer.
            state.best_step, state.best_value = state.step, value
        if first or gain > 0:
            state.evaluations_since_best = 0
        else:
            state.evaluations_since_best += 1
            patience = self._plan.early_stopping
            state.stopped_early = 0 < patience <= state.evaluations_since_best

    def _roll_back(self, console: Console) -> None:
        step, rollbacks = self.state.step, self.state.rollbacks + 1
        if rollbacks > self._plan.nan_rollbacks:
            raise UserError(
                f"the loss is not finite at {self._task.unit} {step}, after {rollbacks - 1} "
                "roll-backs; lower optimizer.learning_rate, or bound the gradients with "
                f"optimizer.clip_norm. Received: loss={self._task.metrics()['loss']}"
            )
        found, _ = self._checkpoints.newest()
        assert found is not None, "a run saves its state before its first step"
        self._take_over(found)
        self.state.rollbacks = rollbacks
        self._task.start(self.state.step)
        self._task.scale_learning_rate(0.5**rollbacks)
        console.say(
            f"the loss is not finite at {self._task.unit} {step}: back to {found.step} with the "
            f"learning rate times {0.5**rollbacks}"
        )

"""When things happen in a run: its length, and the actions that are due at a step."""

import dataclasses
from collections.abc import Callable, Sequence


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Length and cadence of a run, in steps.

    Attributes:
      total_steps: where the run ends.
      report_every, evaluate_every, checkpoint_every: intervals, each a multiple of the task's
        `steps_per_iteration`.
      best_metric: the evaluation metric that selects the best checkpoint.
      more_is_better: whether a larger value of it is better.
      early_stopping: evaluations without improvement after which the run ends; 0 is off.
      nan_rollbacks: how often the run rolls back when the loss is not finite.
      stop_at: the value of `best_metric` at which the run ends; None for no such value.
    """

    total_steps: int
    report_every: int
    evaluate_every: int
    checkpoint_every: int
    best_metric: str
    more_is_better: bool
    early_stopping: int
    nan_rollbacks: int
    stop_at: float | None = None

    def is_reached(self, value: float) -> bool:
        """Whether a value of `best_metric` ends the run."""
        if self.stop_at is None:
            return False
        return value >= self.stop_at if self.more_is_better else value <= self.stop_at


@dataclasses.dataclass(frozen=True)
class Action:
    """Something the loop does between two chunks.

    Attributes:
      every: interval in steps; 0 is at every chunk boundary.
      at_end: whether it is due at the last step of the run too.
      run: does it; called without arguments.
    """

    every: int
    at_end: bool
    run: Callable[[], None]

    def is_due(self, step: int, total_steps: int) -> bool:
        """Whether the action is due at a chunk boundary at `step`."""
        if not self.every:
            return True
        return step % self.every == 0 or (self.at_end and step >= total_steps)


def steps_until_due(
    actions: Sequence[Action], step: int, total_steps: int, borders: Sequence[int] = ()
) -> int:
    """Steps from `step` to the nearest step at which an action is due or the run ends.

    Args:
      actions: of which one at least has an interval.
      step: the current step.
      total_steps: where the run ends.
      borders: further steps at which a chunk must end.
    """
    intervals = [action.every for action in actions if action.every]
    return min(
        total_steps - step,
        *(every - step % every for every in intervals),
        *(border - step for border in borders if border > step),
    )

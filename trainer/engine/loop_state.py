"""What the loop knows of a run: its position, saved in each checkpoint, and its time."""

import dataclasses


@dataclasses.dataclass
class LoopState:
    """The loop's own state, saved as JSON in each checkpoint's manifest.

    Attributes:
      step: steps done.
      reported_step: the last step with a report of training.
      evaluated_step: the last step with an evaluation.
      records: number of records written.
      total_steps: the schedule's length when this was saved.
      best_step: the step of the best evaluation; -1 before the first.
      best_value: its metric.
      evaluations_since_best: what early stopping counts.
      rollbacks: number of roll-backs so far.
      stopped_early: whether early stopping ended the run.
      train_seconds: time spent in `advance`, over all processes of the run.
    """

    step: int = 0
    reported_step: int = 0
    evaluated_step: int = 0
    records: int = 0
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
        return ended and self.evaluated_step == self.step

    def has_variables_of(self, other: "LoopState | None") -> bool:
        """Whether the task's variables are those of another state of the same run."""
        # A report resets the accumulators, a roll-back changes the learning rate.
        return other is not None and (self.step, self.reported_step, self.rollbacks) == (
            other.step,
            other.reported_step,
            other.rollbacks,
        )


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

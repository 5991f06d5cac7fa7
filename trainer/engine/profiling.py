"""A trace of some steps of a run, for TensorBoard's profile plugin."""

import os

from trainer.compat.keras import tf


class Profiler:
    """Traces the iterations of a run between two steps. Results do not depend on it.

    Attributes:
      borders: the steps at which the trace starts and ends; empty if nothing is to be traced.
    """

    def __init__(
        self,
        steps: tuple[int, int] | None = None,
        steps_per_iteration: int = 1,
        folder: str = "",
    ):
        """Rounds the steps to whole iterations, the first down and the last up.

        Args:
          steps: the first and the last step; None: traces nothing.
          steps_per_iteration: of the task.
          folder: of TensorBoard, local or gs://…; the trace is written to `plugins/profile` in it.
            Empty on a worker that writes none, which has the same borders.
        """
        self.borders: tuple[int, ...] = ()
        if steps:
            first, last = steps
            self.borders = (
                first // steps_per_iteration * steps_per_iteration,
                -(-last // steps_per_iteration) * steps_per_iteration,
            )
        self._folder = folder
        self._started_at: int | None = None
        self._has_ended = False

    def missed(self, step: int, total_steps: int) -> str:
        """Why a run from `step` to `total_steps` has nothing to trace; empty if it has."""
        if not self.borders:
            return ""
        first, last = self.borders
        if first < total_steps and step < last:
            return ""
        self._has_ended = True
        return f"nothing is profiled: steps {first} to {last} are not among {step} to {total_steps}"

    def start(self, step: int) -> None:
        """Starts the trace if `step` is within its borders, unless it has been written."""
        if not self._folder or not self.borders or self._has_ended:
            return
        first, last = self.borders
        if self._started_at is None and first <= step < last:
            tf.profiler.experimental.start(self._folder)
            self._started_at = step

    def stop(self, step: int, is_last: bool = False) -> str:
        """Writes the trace, if there is one and it ends at `step` or the run does; says where."""
        if self._started_at is None:
            if not is_last or not self._folder or not self.borders or self._has_ended:
                return ""
            return f"nothing was profiled: the run ended at step {step}"
        if not (is_last or step >= self.borders[1]):
            return ""
        tf.profiler.experimental.stop()
        first, self._started_at = self._started_at, None
        self._has_ended = True
        place = os.path.join(self._folder, "plugins", "profile")
        return f"the trace from step {first} to {step} is in {place}"

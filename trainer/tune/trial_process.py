"""The processes of a trial: `trainer train` for each of its seeds, sequentially."""

import dataclasses
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from trainer.engine.launch import bound, describe_exit
from trainer.engine.resources import Resources
from trainer.errors import EXIT_INTERRUPTED, EXIT_USER_ERROR
from trainer.io import fence, files
from trainer.io.fence import Fence, Fenced
from trainer.io.paths import is_remote
from trainer.tune.layout import Layout, continue_from, read_experiment
from trainer.tune.median_stopping import final_value
from trainer.tune.outcome import Outcome, TrialStatus

# How often a process that was killed is restarted from its checkpoint.
_MAX_RESTARTS = 1
_MAX_REASON_CHARACTERS = 300
# A process that was asked to stop saves its state within seconds, unless it hangs.
_SECONDS_TO_STOP = 60.0


@dataclasses.dataclass(frozen=True)
class TrialSettings:
    """The settings shared by all trials of a search.

    Attributes:
      layout: the directory of the search.
      objective: the metric that is the score.
      executions: training runs per trial.
      flags: of `trainer train`, besides --config and --workdir.
      keep_open: file descriptors that the processes inherit, such as the lock.
    """

    layout: Layout
    objective: str
    executions: int
    flags: tuple[str, ...]
    keep_open: tuple[int, ...]


class TrialProcess:
    """A running trial; call `poll` regularly."""

    def __init__(self, settings: TrialSettings, trial_id: str, worker: str, resources: Resources):
        """Nothing runs before the first `poll`; finished training runs are not repeated.

        Args:
          settings: of all trials.
          trial_id: the trial.
          worker: the worker that has claimed it; it must not write for another one.
          resources: where to run.
        """
        self.trial_id = trial_id
        self._fence = Fence(str(settings.layout.fence(trial_id)), worker)
        self._abandoned = threading.Event()
        self._settings = settings
        self._resources = resources
        self._scores: list[float] = []
        self._restarts = 0
        self._stopping_since = 0.0
        # Output is written to a local file, and copied to a bucket afterwards.
        self._local_logs = tempfile.TemporaryDirectory(prefix="trainer-tune-")
        self._process: subprocess.Popen[bytes] | None = None

    def poll(self) -> Outcome | None:
        """Starts the trial, or returns its outcome, or None while it is running.

        Raises:
          Fenced: if the trial has been given to another worker.
        """
        if self._abandoned.is_set():
            raise Fenced(f"trial {self.trial_id} has been given to another worker")
        if self._process is None:
            self._process = self._start()
            return None
        status = self._process.poll()
        if status is None:
            return None
        self._keep_log()
        if status == 0:
            return self._end_execution()
        if self._stopping:
            return Outcome(TrialStatus.STOPPED)
        if status < 0 or status == EXIT_INTERRUPTED:
            if self._restarts == _MAX_RESTARTS:
                return Outcome(TrialStatus.FAILED, reason=f"{describe_exit(status)}, twice")
            self._restarts += 1
            self._process = None
            return None
        if status == EXIT_USER_ERROR:
            return Outcome(self._refused_or_failed(), reason=self._last_line("error: "))
        reason = f"{describe_exit(status)}: {self._last_line()}"
        return Outcome(TrialStatus.FAILED, reason=reason)

    @property
    def is_alive(self) -> bool:
        """True while a process is running."""
        return self._process is not None and self._process.poll() is None

    @property
    def _stopping(self) -> bool:
        return self._stopping_since > 0.0

    def stop(self) -> None:
        """Asks the process to save its state and exit; call it again until the process ends."""
        if self._process is None:
            return
        if not self._stopping:
            self._stopping_since = time.monotonic()
            self._process.terminate()
        elif time.monotonic() - self._stopping_since > _SECONDS_TO_STOP:
            self._process.kill()

    def abandon(self) -> None:
        """Kills the process for good, and makes the next `poll` raise; any thread may call it."""
        self._abandoned.set()
        if self._process is not None:
            self._process.kill()

    def kill(self) -> None:
        """Kills the process; its last checkpoint remains."""
        self.abandon()
        if self._process is not None:
            self._process.wait()

    def write(self, outcome: Outcome) -> None:
        """Writes the outcome, after the process has ended.

        Raises:
          Fenced: if the trial has been given to another worker.
        """
        self._keep_log()
        self._check()
        outcome.write(self._settings.layout.outcome(self.trial_id))

    def _check(self) -> None:
        if self._abandoned.is_set():
            raise Fenced(f"trial {self.trial_id} has been given to another worker")
        self._fence.check()

    def _end_execution(self) -> Outcome | None:
        name = self._settings.objective
        value = final_value(self._settings.layout.workdir(self.trial_id, len(self._scores)), name)
        if value is None:
            reason = f"{name} is missing from the result, or not finite"
            return Outcome(TrialStatus.FAILED, reason=reason)
        self._scores.append(value)
        if len(self._scores) == self._settings.executions:
            return Outcome(TrialStatus.FINISHED, sum(self._scores) / len(self._scores))
        self._restarts = 0
        if self._stopping:
            return Outcome(TrialStatus.STOPPED)
        self._process = None
        return None

    def _refused_or_failed(self) -> TrialStatus:
        """Returns REFUSED if the work directory was not created: invalid input leaves none."""
        workdir = self._settings.layout.workdir(self.trial_id, len(self._scores))
        return TrialStatus.FAILED if workdir.exists() else TrialStatus.REFUSED

    def _start(self) -> subprocess.Popen[bytes]:
        layout, execution = self._settings.layout, len(self._scores)
        workdir = layout.workdir(self.trial_id, execution)
        parent = layout.parent(self.trial_id)
        if parent.exists():
            source = layout.workdir(parent.read_text(), execution)
            continue_from(source, workdir, self._check)
        self._check()
        environment = self._resources.environment(os.environ)
        with self._log().open("ab") as log:
            return subprocess.Popen(
                bound(
                    command(layout, self.trial_id, execution, self._settings.flags),
                    self._resources.cores,
                ),
                env={**environment, fence.VARIABLE: self._fence.to_variable()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=self._settings.keep_open,
                # Signals of the terminal reach only this process, which forwards them.
                start_new_session=True,
            )

    def _log(self) -> Path:
        """Returns the local file with the output of the current training run."""
        kept = self._settings.layout.log(self.trial_id, len(self._scores))
        if not is_remote(kept):
            return kept
        local = Path(self._local_logs.name) / kept.name
        if not local.exists() and kept.exists():
            local.write_text(kept.read_text())
        return local

    def _keep_log(self) -> None:
        kept = self._settings.layout.log(self.trial_id, len(self._scores))
        if is_remote(kept) and self._log().exists():
            self._check()
            files.write_text(kept, self._log().read_text(errors="replace"))

    def _last_line(self, prefix: str = "") -> str:
        """Returns the last line of output that has a prefix, without the prefix."""
        log = self._log()
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        chosen = [line for line in lines if line.startswith(prefix)] or [f"{prefix}see {log}"]
        return chosen[-1].removeprefix(prefix)[:_MAX_REASON_CHARACTERS]


def command(layout: Layout, trial_id: str, execution: int, flags: Sequence[str]) -> list[str]:
    """Returns the command of one training run of a trial; it can also be run by hand."""
    config = layout.config(trial_id)
    seed = read_experiment(config).seed + execution
    return [
        *[sys.executable, "-m", "trainer", "train", f"--config={config}"],
        *([f"--config.seed={seed}"] if execution else []),
        f"--workdir={layout.workdir(trial_id, execution)}",
        *flags,
    ]

"""One trial being run: `trainer train` for each of its seeds, one after the other."""

import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from trainer.errors import EXIT_INTERRUPTED, EXIT_USER_ERROR
from trainer.tune import files
from trainer.tune.files import Layout
from trainer.tune.median_stopping import final_value
from trainer.tune.outcome import Outcome
from trainer.tune.resources import Share

# A process killed from outside goes on from its checkpoint so often; then it has failed.
_RESTARTS = 1
_SHOWN_CHARACTERS = 300


@dataclasses.dataclass(frozen=True)
class Plan:
    """How every trial is run.

    Attributes:
      layout: the search's directory.
      objective: the metric that counts.
      executions: trainings of a trial.
      flags: of `trainer train`, beside the configuration and the work directory.
      keep_open: file descriptors that the processes inherit, the search's lock.
    """

    layout: Layout
    objective: str
    executions: int
    flags: tuple[str, ...]
    keep_open: tuple[int, ...]


class TrialProcess:
    """Runs a trial; `poll` now and then."""

    def __init__(self, plan: Plan, trial_id: str, share: Share):
        """Starts it, or goes on with it: what is finished is not trained again."""
        self.trial_id = trial_id
        self._plan = plan
        self._share = share
        self._scores: list[float] = []
        self._restarts = 0
        self._stopping = False
        # What a process prints goes to a file of this machine; a bucket has it afterwards.
        self._here = tempfile.TemporaryDirectory(prefix="trainer-tune-")
        self._process = self._start()

    def poll(self) -> Outcome | None:
        """The outcome once there is one, None until then; `stop` makes it end early."""
        status = self._process.poll()
        if status is None:
            return None
        self._keep_log()
        if status == 0:
            return self._finished_one()
        if self._stopping:
            return self._outcome("stopped")
        if status < 0 or status == EXIT_INTERRUPTED:
            if self._restarts == _RESTARTS:
                return self._outcome("failed", reason=f"{_ending(status)}, more than once")
            self._restarts += 1
            self._process = self._start()
            return None
        if status == EXIT_USER_ERROR:
            return self._outcome(self._refused_or_failed(), reason=self._last_line("error: "))
        return self._outcome("failed", reason=f"{_ending(status)}: {self._last_line()}")

    @property
    def is_alive(self) -> bool:
        """Whether a process is running."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Asks the process to save and end."""
        if not self._stopping:
            self._stopping = True
            self._process.terminate()

    def kill(self) -> None:
        """Ends the process at once; its last checkpoint stays."""
        self._process.kill()
        self._process.wait()
        self._keep_log()

    def _finished_one(self) -> Outcome | None:
        name = self._plan.objective
        value = final_value(self._plan.layout.workdir(self.trial_id, len(self._scores)), name)
        if value is None:
            return self._outcome("failed", reason=f"{name} is not in its result, or not finite")
        self._scores.append(value)
        if len(self._scores) == self._plan.executions:
            return self._outcome("finished", score=sum(self._scores) / len(self._scores))
        self._restarts = 0
        if self._stopping:
            return self._outcome("stopped")
        self._process = self._start()
        return None

    def _refused_or_failed(self) -> str:
        """Input is refused before anything is written; a loss diverges later."""
        workdir = self._plan.layout.workdir(self.trial_id, len(self._scores))
        return "failed" if workdir.exists() else "refused"

    def _start(self) -> subprocess.Popen[bytes]:
        layout, execution = self._plan.layout, len(self._scores)
        workdir = layout.workdir(self.trial_id, execution)
        source = layout.source(self.trial_id)
        if source.exists():
            files.continue_from(layout.workdir(source.read_text(), execution), workdir)
        with self._log().open("ab") as log:
            return subprocess.Popen(
                [
                    *[sys.executable, "-m", "trainer.tune.launch", str(os.getpid())],
                    ",".join(map(str, self._share.cores)),
                    *command(layout, self.trial_id, execution, self._plan.flags),
                ],
                env=self._share.environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=self._plan.keep_open,
                # A signal of the terminal reaches us alone; we pass it on.
                start_new_session=True,
            )

    def _outcome(self, status: str, score: float | None = None, reason: str = "") -> Outcome:
        return Outcome(status, score, reason)

    def _log(self) -> Path:
        """The file of this machine that the present training prints to."""
        kept = self._plan.layout.log(self.trial_id, len(self._scores))
        if not files.is_remote(kept):
            return kept
        here = Path(self._here.name) / kept.name
        if not here.exists() and kept.exists():
            here.write_text(kept.read_text())
        return here

    def _keep_log(self) -> None:
        kept = self._plan.layout.log(self.trial_id, len(self._scores))
        if files.is_remote(kept):
            files.write_text(kept, self._log().read_text(errors="replace"))

    def _last_line(self, prefix: str = "") -> str:
        """The last line with a prefix of what the process printed, without it."""
        log = self._log()
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        chosen = [line for line in lines if line.startswith(prefix)] or [f"{prefix}see {log}"]
        return chosen[-1].removeprefix(prefix)[:_SHOWN_CHARACTERS]


def command(layout: Layout, trial_id: str, execution: int, flags: Sequence[str]) -> list[str]:
    """The command of one of a trial's trainings; by hand it does the same."""
    config = layout.config(trial_id)
    seed = files.read_experiment(config).seed + execution
    return [
        *[sys.executable, "-m", "trainer", "train", f"--config={config}"],
        *([f"--config.seed={seed}"] if execution else []),
        f"--workdir={layout.workdir(trial_id, execution)}",
        *flags,
    ]


def _ending(status: int) -> str:
    if status < 0:
        name = signal.Signals(-status).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"exit status {status}"

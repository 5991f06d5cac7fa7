"""The runs of several seeds side by side on a CPU: one process each, on its share of the cores.

This process computes nothing and does not import TensorFlow.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from trainer.compat import tpu
from trainer.config import loading
from trainer.config.inspection import differences
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.launch import bound, describe_exit
from trainer.engine.preemption import StopRequest
from trainer.engine.resources import (
    Resources,
    available_accelerators,
    available_cores,
    divide,
)
from trainer.engine.seed_folders import runs
from trainer.engine.workdir import (
    WorkDirectory,
    finished_result,
    load_experiment,
    record_experiment,
)
from trainer.errors import EXIT_INTERRUPTED, EXIT_USER_ERROR, Interrupted, UserError
from trainer.io.paths import to_path

_WIDTH = 80
_POLL_SECONDS = 0.1
# Processes that inherited the output of a run, such as its environments, end a moment after it.
_SECONDS_FOR_OUTPUT = 5.0
# The run was ended from outside, for example for lack of memory; it can be resumed.
_RESUMABLE = (EXIT_INTERRUPTED, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


def number_of_processes(
    experiment: loading.Experiment, config: DistributionConfig, asked: int
) -> int:
    """How many runs train at the same time; 1: one after another in this process.

    Args:
      experiment: the configuration.
      config: where to compute.
      asked: the flag --parallel_seeds; 0: one run per core on a CPU, else 1.

    Raises:
      UserError: if several were asked for on anything but a CPU.
    """
    if experiment.seeds == 1 or asked == 1:
        return 1
    if not _is_cpu(config):
        if asked:
            raise UserError(
                "--parallel_seeds needs a CPU: the runs would share one accelerator; leave it out, "
                f"or add --strategy=cpu. Received: {asked}"
            )
        return 1
    return min(experiment.seeds, asked or len(available_cores()) or os.cpu_count() or 1)


def _is_cpu(config: DistributionConfig) -> bool:
    """Whether runs with these flags compute on a CPU as one device."""
    if config.strategy != "auto":
        return config.strategy == "cpu"
    return not (
        config.joins_a_cluster
        or config.requires_tpu
        or config.virtual_devices > 1
        or tpu.find(is_required=False)
        or available_accelerators()
    )


def train(
    experiment: loading.Experiment,
    path: str,
    flags: Sequence[str],
    processes: int,
    stop: StopRequest,
) -> None:
    """Trains, or resumes, the runs that are not finished, and returns when all are.

    Each run gets the same number of cores, whether others are running or not, because the number
    of threads can change rounding.

    Args:
      experiment: the configuration, with several seeds.
      path: the work directory.
      flags: of `trainer train`, besides --config and --workdir.
      processes: how many runs train at the same time.
      stop: ends the runs after they have saved their states.

    Raises:
      UserError: if a run refused its input; the others are stopped.
      Interrupted: if a stop was requested or a run was killed; the states are saved.
      RuntimeError: if a run failed with a traceback.
    """
    all_runs = runs(experiment, path)
    waiting = [(run, to) for run, to in all_runs if finished_result(to, run) is None]
    free = divide(processes, (), available_cores())
    width = max(len(str(run.seed)) for run, _ in all_runs)
    running: list[_Run] = []
    failed: _Run | None = None
    is_recorded = is_stopping = False
    with stop.deferred(), tempfile.TemporaryDirectory(prefix="trainer-seeds-") as folder:
        try:
            while running or (waiting and not is_stopping):
                while waiting and free and not is_stopping:
                    run, directory = waiting.pop(0)
                    config = Path(folder, f"seed_{run.seed}.json")
                    config.write_text(loading.to_json(run))
                    arguments = [f"--config={config}", f"--workdir={directory}", *flags]
                    prefix = f"seed {run.seed:>{width}}: "
                    running.append(_Run(run, directory, arguments, prefix, free.pop(0)))
                time.sleep(_POLL_SECONDS)
                # Not before a run has passed its checks: invalid input leaves nothing behind.
                if not is_recorded and any(run.has_begun for run in running):
                    is_recorded = True
                    record_experiment(path, experiment)
                for ended in [run for run in running if run.has_ended]:
                    running.remove(ended)
                    free.append(ended.resources)
                    if failed is None and ended.has_failed(is_stopping or stop.requested):
                        failed = ended
                if (failed or stop.requested) and not is_stopping:
                    is_stopping = True
                    for run_to_stop in running:
                        run_to_stop.stop()
        finally:
            for left in running:
                left.kill()
        if failed:
            raise failed.error()
        if stop.requested:
            raise Interrupted("stopped with the states of all seeds saved")


class _Run:
    """The process of one run. Its lines on stderr are repeated here with a prefix."""

    def __init__(
        self,
        experiment: loading.Experiment,
        directory: str,
        arguments: Sequence[str],
        prefix: str,
        resources: Resources,
    ):
        """Starts the process: `trainer train ARGUMENTS…`."""
        self.resources = resources
        self._experiment = experiment
        self._directory = directory
        self._prefix = prefix
        self._last_line = ""
        self._error_line = ""
        columns = {"COLUMNS": str(_WIDTH - len(prefix))}
        self._process = subprocess.Popen(
            bound([sys.executable, "-m", "trainer", "train", *arguments], resources.cores),
            env={**resources.environment(os.environ), **columns},
            stdin=subprocess.DEVNULL,
            # The summary of the run; this process prints one for all.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Signals of the terminal reach only this process, which asks the runs to stop.
            start_new_session=True,
        )
        self._output = threading.Thread(target=self._repeat_lines, daemon=True)
        self._output.start()

    @property
    def has_begun(self) -> bool:
        """Whether the run has passed its checks and written its configuration."""
        if not to_path(WorkDirectory(self._directory).config).exists():
            return False
        return not differences(load_experiment(self._directory), self._experiment)

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended; its output is complete then."""
        if self._process.poll() is None:
            return False
        self._output.join(_SECONDS_FOR_OUTPUT)
        return True

    def has_failed(self, was_stopped: bool) -> bool:
        """Whether the process ended otherwise than by finishing, or by stopping as it was asked."""
        status = self._process.returncode
        return status not in ((0, EXIT_INTERRUPTED, -signal.SIGTERM) if was_stopped else (0,))

    def error(self) -> Exception:
        """The failure of the run as an error of this process, with the same exit status."""
        status = self._process.returncode
        message = f"seed {self._experiment.seed}: {describe_exit(status)}"
        if status == EXIT_USER_ERROR:
            return UserError(f"{message}: {self._error_line or self._last_line}")
        if status in _RESUMABLE:
            return Interrupted(f"{message}; the states of all seeds are saved")
        return RuntimeError(f"{message}: {self._last_line}")

    def stop(self) -> None:
        """Asks the process to save its state and exit."""
        self._process.terminate()

    def kill(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()

    def _repeat_lines(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            line = line.rstrip()
            if line.startswith("error: "):
                # Shown once for all seeds, which often fail in the same way.
                self._error_line = line.removeprefix("error: ")
            elif line:
                self._last_line = line
                # A closed terminal must not block the run, which waits until its lines are read.
                with contextlib.suppress(OSError):
                    # A single call, since other threads write lines too.
                    sys.stderr.write(f"{self._prefix}{line}\n")

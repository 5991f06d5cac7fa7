"""Runs a task in a work directory, from start or resume to result.json."""

import contextlib
import dataclasses
import io
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, TextIO

from trainer.compat.keras import tf
from trainer.config import loading
from trainer.config.inspection import differences
from trainer.engine import workdir as run_workdir
from trainer.engine.checkpoints import CheckpointInfo, Checkpoints
from trainer.engine.distribution import Runtime
from trainer.engine.loop import Loop, Task
from trainer.engine.metric_writers import Files, Memory, Writer
from trainer.engine.preemption import StopRequest
from trainer.engine.schedule import Schedule
from trainer.engine.workdir import WorkDirectory
from trainer.errors import Interrupted, UserError
from trainer.io import files
from trainer.io.records import Record, Value

_PACKAGES = ("trainer", "tf_keras", "numpy", "tf-agents")


@dataclasses.dataclass(frozen=True)
class RunSpec:
    """What a task module tells the runner about a run.

    Attributes:
      experiment: the resolved configuration.
      task: what the loop drives.
      schedule: length and cadence.
      checkpoints_to_keep: number of newest checkpoints kept, beside the best.
      weights: best or last: which checkpoint the final evaluation uses.
      signature: written as signature.json, for prediction without the data; None: no file.
      final_evaluation: the split and metrics of a checkpoint.
    """

    experiment: loading.Experiment
    task: Task
    schedule: Schedule
    checkpoints_to_keep: int
    weights: str
    signature: Mapping[str, Any] | None
    final_evaluation: Callable[[CheckpointInfo], tuple[str, Mapping[str, Value]]]


@dataclasses.dataclass(frozen=True)
class Session:
    """The process of a run.

    Attributes:
      started: when it started, seconds since 1970.
      stop: whether it was asked to stop.
    """

    started: float
    stop: StopRequest

    def check(self) -> None:
        """Ends the process early, before there is state to save.

        Raises:
          Interrupted: if a stop was requested.
        """
        if self.stop.requested:
            raise Interrupted("stopped before training")


def finished_result(path: str, experiment: loading.Experiment) -> Mapping[str, Any] | None:
    """The result of a finished run of exactly this experiment; None if there is none."""
    workdir = WorkDirectory(path)
    if not tf.io.gfile.exists(workdir.result):
        return None
    if differences(run_workdir.load_experiment(path), experiment):
        return None
    result: Mapping[str, Any] = files.read_json(workdir.result)
    return result


def announce(runtime: Runtime) -> None:
    """Prints strategy and precision, once for all workers."""
    if runtime.is_chief:
        print(runtime.description, file=sys.stderr)


def run(spec: RunSpec, path: str, runtime: Runtime, session: Session) -> Mapping[str, Any] | None:
    """Trains, evaluates the selected checkpoint and writes the result.

    Returns:
      The content of result.json; None on a worker that is not the chief.

    Raises:
      Interrupted: when a stop was requested; the state is saved.
      UserError: when the loss is still not finite after all roll-backs.
    """
    session.check()
    startup = time.time() - session.started
    workdir = WorkDirectory(path)
    writer: Writer = Memory()
    stream: TextIO = io.StringIO()
    if runtime.is_chief:
        prepare(path, spec.experiment)
        if spec.signature is not None:
            files.write_json(workdir.signature, spec.signature)
        writer, stream = Files(workdir.metrics, workdir.tensorboard), sys.stderr
    checkpoints = Checkpoints(
        workdir.checkpoints,
        spec.checkpoints_to_keep,
        runtime.worker,
        runtime.is_chief,
        runtime.barrier,
    )
    loop = Loop(
        spec.task,
        spec.schedule,
        checkpoints,
        writer,
        stop_requested=_agreed(runtime, session.stop),
        several_workers=runtime.workers > 1,
        stream=stream,
    )
    loop.run()
    found = select_checkpoint(checkpoints, spec.weights)
    assert found is not None, "the loop has just saved one"
    started = time.perf_counter()
    split, metrics = spec.final_evaluation(found)
    evaluate_seconds = loop.timing.evaluate + time.perf_counter() - started
    writer.write(Record(found.step, split, time.time(), metrics))
    if not runtime.is_chief:
        return None
    timing = loop.timing
    result = {
        "status": "finished",
        "task": spec.experiment.task,
        "step": loop.state.step,
        "checkpoint": {"kind": spec.weights, "step": found.step},
        "stopped_early": loop.state.stopped_early,
        "metrics": {f"{split}/{name}": value for name, value in metrics.items()},
        "throughput": {
            **spec.task.throughput(timing.steps_per_second),
            "input_wait_fraction": timing.input_wait_fraction,
        },
        "seconds": {
            "startup": startup,
            "compile": timing.compile,
            "train": loop.state.train_seconds,
            "evaluate": evaluate_seconds,
            "total": time.time() - session.started,
        },
        "strategy": runtime.description,
        "versions": _versions(),
    }
    files.write_json(workdir.result, result)
    return result


def select_checkpoint(checkpoints: Checkpoints, weights: str) -> CheckpointInfo | None:
    """The best or the last complete checkpoint; the last if no evaluation selected a best."""
    last, _ = checkpoints.newest()
    if last is None or weights == "last" or last.loop_state["best_step"] < 0:
        return last
    best, _ = checkpoints.find(last.loop_state["best_step"])
    return best or last


def checkpoint_of(path: str, weights: str) -> CheckpointInfo:
    """The best or the last checkpoint of an existing run.

    Raises:
      UserError: if none is complete.
    """
    # Nothing is saved here, so `keep` has no effect.
    found = select_checkpoint(Checkpoints(WorkDirectory(path).checkpoints, keep=1), weights)
    if found is None:
        raise UserError(f"--workdir {path!r} has no complete checkpoint; train first")
    return found


def prepare(path: str, experiment: loading.Experiment) -> None:
    """Creates the work directory of an experiment that is not finished.

    Raises:
      UserError: if it cannot be created.
    """
    workdir = WorkDirectory(path)
    try:
        tf.io.gfile.makedirs(workdir.path)
    except tf.errors.OpError as error:
        raise UserError(f"--workdir {workdir.path!r} cannot be created: {error.message}") from error
    files.write_text(workdir.config, loading.to_json(experiment))
    if tf.io.gfile.exists(workdir.result):
        tf.io.gfile.remove(workdir.result)


def _agreed(runtime: Runtime, stop: StopRequest) -> Callable[[], bool]:
    """A function: whether any worker was asked to stop, with the same answer on all workers."""
    if runtime.workers == 1:
        return lambda: stop.requested
    return lambda: runtime.sum_over_workers(float(stop.requested)) > 0


def _versions() -> dict[str, str]:
    # TensorFlow's CPU and TPU builds are packages of other names.
    versions = {"python": sys.version.split()[0], "tensorflow": tf.__version__}
    for package in _PACKAGES:
        # Only agents need TF-Agents.
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions

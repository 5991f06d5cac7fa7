"""A training job: a task and a plan in a work directory, from start or resume to result."""

import contextlib
import dataclasses
import io
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, TextIO

from trainer.backend import tf
from trainer.config import bridge
from trainer.errors import Interrupted, UserError
from trainer.loop import Loop, Plan, Task
from trainer.metrics import Files, Memory, Record, Value, Writer
from trainer.run import workdir as run_workdir
from trainer.run.checkpoints import Checkpoints, Found
from trainer.run.workdir import WorkDirectory
from trainer.signals import StopRequest
from trainer.strategy import Runtime

_PACKAGES = ("trainer", "tf_keras", "numpy", "tf-agents")


@dataclasses.dataclass(frozen=True)
class Job:
    """What distinguishes one kind of experiment from another.

    Attributes:
      experiment: the resolved configuration.
      task: what the loop drives.
      plan: when what happens.
      checkpoints_to_keep: newest checkpoints kept, beside the best.
      weights: best or last: which checkpoint the final evaluation takes.
      signature: kept as signature.json, for prediction without the data; None keeps none.
      final_evaluation: metrics of a found checkpoint, and the name of their split.
      throughput: from (steps per second, input wait fraction) to result.json's figures.
    """

    experiment: bridge.Experiment
    task: Task
    plan: Plan
    checkpoints_to_keep: int
    weights: str
    signature: Mapping[str, Any] | None
    final_evaluation: Callable[[Found], tuple[str, Mapping[str, Value]]]
    throughput: Callable[[float, float], Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class Session:
    """The process a job runs in: when it began, and whether it was asked to stop."""

    started: float
    stop: StopRequest

    def check(self) -> None:
        """Ends the process early, while there is no state to save.

        Raises:
          Interrupted: if a stop was requested.
        """
        if self.stop.requested:
            raise Interrupted("stopped before training")


def finished_result(path: str, experiment: bridge.Experiment) -> Mapping[str, Any] | None:
    """The result of a run of exactly this experiment that has ended, if there is one."""
    workdir = WorkDirectory(path)
    if not tf.io.gfile.exists(workdir.result):
        return None
    if bridge.differences(run_workdir.load_experiment(path), experiment):
        return None
    result: Mapping[str, Any] = run_workdir.read_json(workdir.result)
    return result


def announce(runtime: Runtime) -> None:
    """Says what was taken to compute on, once for all workers."""
    if runtime.is_chief:
        print(runtime.description, file=sys.stderr)


def run(job: Job, path: str, runtime: Runtime, session: Session) -> Mapping[str, Any] | None:
    """Trains, evaluates the chosen checkpoint and writes the result.

    Returns:
      The content of result.json; None on a worker that is not the chief.

    Raises:
      Interrupted: when a stop was requested; the state is saved.
      UserError: when the loss stays not finite.
    """
    session.check()
    startup = time.time() - session.started
    workdir = WorkDirectory(path)
    writer: Writer = Memory()
    stream: TextIO = io.StringIO()
    if runtime.is_chief:
        prepare(path, job.experiment)
        if job.signature is not None:
            run_workdir.write_json(workdir.signature, job.signature)
        writer, stream = Files(workdir.metrics, workdir.tensorboard), sys.stderr
    checkpoints = Checkpoints(
        workdir.checkpoints,
        job.checkpoints_to_keep,
        runtime.worker,
        runtime.is_chief,
        runtime.barrier,
    )
    loop = Loop(
        job.task,
        job.plan,
        checkpoints,
        writer,
        stop_requested=_agreed(runtime, session.stop),
        several_workers=runtime.workers > 1,
        stream=stream,
    )
    loop.run()
    found = chosen_checkpoint(checkpoints, job.weights)
    assert found is not None, "the loop has just saved one"
    started = time.perf_counter()
    split, metrics = job.final_evaluation(found)
    evaluate_seconds = loop.timing.evaluate + time.perf_counter() - started
    writer.write(Record(found.step, split, time.time(), metrics))
    if not runtime.is_chief:
        return None
    timing = loop.timing
    result = {
        "status": "finished",
        "task": job.experiment.task,
        "step": loop.state.step,
        "checkpoint": {"kind": job.weights, "step": found.step},
        "stopped_early": loop.state.stopped_early,
        "metrics": {f"{split}/{name}": value for name, value in metrics.items()},
        "throughput": job.throughput(timing.steps_per_second, timing.input_wait_fraction),
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
    run_workdir.write_json(workdir.result, result)
    return result


def chosen_checkpoint(checkpoints: Checkpoints, weights: str) -> Found | None:
    """The best or the last whole checkpoint; the last where no evaluation named a best."""
    last, _ = checkpoints.newest()
    if last is None or weights == "last" or last.loop_state["best_step"] < 0:
        return last
    best, _ = checkpoints.find(last.loop_state["best_step"])
    return best or last


def checkpoint_of(path: str, weights: str) -> Found:
    """The best or the last checkpoint of an existing run.

    Raises:
      UserError: if none is whole.
    """
    # Nothing is saved through it, so how many to keep does not matter.
    found = chosen_checkpoint(Checkpoints(WorkDirectory(path).checkpoints, keep=1), weights)
    if found is None:
        raise UserError(f"--workdir holds no whole checkpoint yet; train first. Received: {path!r}")
    return found


def prepare(path: str, experiment: bridge.Experiment) -> None:
    """Makes the work directory of an experiment that is not finished.

    Raises:
      UserError: if it cannot be made.
    """
    workdir = WorkDirectory(path)
    try:
        tf.io.gfile.makedirs(workdir.path)
    except tf.errors.OpError as error:
        raise UserError(
            f"--workdir cannot be made: {error.message}. Received: {workdir.path!r}"
        ) from error
    run_workdir.write_atomically(workdir.config, bridge.to_json(experiment))
    if tf.io.gfile.exists(workdir.result):
        tf.io.gfile.remove(workdir.result)


def _agreed(runtime: Runtime, stop: StopRequest) -> Callable[[], bool]:
    """Whether any worker was asked to stop; every worker gets the same answer."""
    if runtime.workers == 1:
        return lambda: stop.requested
    return lambda: runtime.sum_over_workers(float(stop.requested)) > 0


def _versions() -> dict[str, str]:
    # The builds of TensorFlow are packages of several names.
    versions = {"python": sys.version.split()[0], "tensorflow": tf.__version__}
    for package in _PACKAGES:
        # Only agents need TF-Agents.
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions

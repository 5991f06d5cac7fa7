"""Runs a task in a work directory, from start or resume to result.json."""

import contextlib
import dataclasses
import io
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, TextIO

from trainer.compat.keras import tf
from trainer.config import loading
from trainer.engine import agreement, lock, peers
from trainer.engine.checkpoints import CheckpointInfo, Checkpoints
from trainer.engine.distribution import Runtime
from trainer.engine.loop import Loop, Task
from trainer.engine.metric_writers import Files, Memory, Writer
from trainer.engine.preemption import StopRequest
from trainer.engine.profiling import Profiler
from trainer.engine.schedule import Schedule
from trainer.engine.workdir import WorkDirectory, record_experiment
from trainer.errors import Interrupted, UserError
from trainer.io import files
from trainer.io.records import Record, Value

# What operations across workers raise when one of them has ended.
_ERRORS_OF_A_LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)
_PACKAGES = ("trainer", "tf_keras", "numpy", "tf-agents")


@dataclasses.dataclass(frozen=True)
class FinalEvaluation:
    """The result of a run.

    Attributes:
      split: eval or test.
      metrics: of the selected checkpoint.
      baseline: of the best predictor that sees no features, where there is one.
    """

    split: str
    metrics: Mapping[str, Value]
    baseline: Mapping[str, Value] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class RunSpec:
    """What a task module tells the runner about a run.

    Attributes:
      experiment: the resolved configuration.
      task: what the loop drives.
      schedule: length and cadence.
      checkpoints_to_keep: number of newest checkpoints kept, beside the best.
      weights: best or last: which checkpoint the final evaluation uses.
      signature: written as signature.json, and equal on all workers; of a run that is resumed,
        the stored one. None: no file.
      final_evaluation: evaluates a checkpoint.
      skipped: names of inputs that were left out, and why.
      reference: a published result to compare with; empty if there is none.
      classes: names for the elements of metrics that are lists of the same length.
    """

    experiment: loading.Experiment
    task: Task
    schedule: Schedule
    checkpoints_to_keep: int
    weights: str
    signature: Mapping[str, Any] | None
    final_evaluation: Callable[[CheckpointInfo], FinalEvaluation]
    skipped: Sequence[tuple[str, str]] = ()
    reference: str = ""
    classes: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Session:
    """The process of a run.

    Attributes:
      started: when it started, seconds since 1970.
      stop: whether it was asked to stop.
      profile_steps: the first and the last step to trace; None: no trace.
    """

    started: float
    stop: StopRequest
    profile_steps: tuple[int, int] | None = None

    def check(self) -> None:
        """Ends the process early, before there is state to save.

        Raises:
          Interrupted: if a stop was requested.
        """
        if self.stop.requested:
            raise Interrupted("stopped before training")


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
    facts = {
        "configurations": loading.to_json(spec.experiment),
        "data": json.dumps(spec.signature),
        "versions of trainer and TensorFlow": json.dumps(_versions()),
        # At which every worker must end a chunk.
        "values of --profile_steps": json.dumps(session.profile_steps),
    }
    agreement.check_equal(runtime, facts)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_full_disk_as_user_error(path))
        check_lock = _no_lock
        with agreement.shared_errors(runtime):
            if runtime.is_chief:
                create(path)
                check_lock = stack.enter_context(lock.held(path))
        agreement.check_shared_directory(runtime, path)
        if runtime.is_chief:
            prepare(path, spec.experiment, spec.signature, spec.skipped)
        stack.enter_context(session.stop.at_once("stopped with the state saved"))
        return _run(spec, path, runtime, session, check_lock, startup)


def _run(
    spec: RunSpec,
    path: str,
    runtime: Runtime,
    session: Session,
    check_lock: Callable[[], None],
    startup: float,
) -> Mapping[str, Any] | None:
    workdir = WorkDirectory(path)
    writer: Writer = Memory()
    stream: TextIO = io.StringIO()
    if runtime.is_chief:
        stream = sys.stderr
        writer = Files(workdir.metrics, workdir.tensorboard, spec.experiment, spec.classes)
    checkpoints = Checkpoints(
        workdir.checkpoints,
        spec.checkpoints_to_keep,
        runtime.worker,
        runtime.is_chief,
        runtime.workers,
        runtime.texts_of_workers,
    )

    def stop_requested() -> bool:
        check_lock()
        return runtime.sum_over_workers(float(session.stop.requested)) > 0

    def agreed_chunk(iterations: int) -> int:
        # The chief's: the others' clocks differ.
        return round(runtime.sum_over_workers(float(iterations * runtime.is_chief)))

    profiler = Profiler(
        session.profile_steps,
        spec.task.steps_per_iteration,
        workdir.tensorboard if runtime.is_chief else "",
    )
    loop = Loop(
        spec.task,
        spec.schedule,
        checkpoints,
        writer,
        stop_requested,
        session.stop.at_once,
        agreed_chunk if runtime.workers > 1 else lambda iterations: iterations,
        stream,
        profiler=profiler,
    )
    with session.stop.deferred():
        loop.run()
    # From here on a stop loses nothing: resuming evaluates again.
    selection = select_checkpoint(checkpoints, spec.weights)
    assert selection is not None, "the loop has just saved one"
    selection.announce()
    found, timing = selection.found, loop.timing
    started = time.perf_counter()
    final = spec.final_evaluation(found)
    evaluate_seconds = timing.evaluate + time.perf_counter() - started
    check_lock()
    # A kill before the result is written removes this record again on resuming.
    writer.write(Record(found.step, final.split, time.time(), final.metrics))
    if not runtime.is_chief:
        return None
    baseline = {f"{final.split}/{name}": value for name, value in final.baseline.items()}
    result = {
        "status": "finished",
        "task": spec.experiment.task,
        "step": loop.state.step,
        "checkpoint": {"kind": selection.kind, "step": found.step},
        "stopped_early": loop.state.stopped_early,
        "metrics": {f"{final.split}/{name}": value for name, value in final.metrics.items()},
        **({"baseline": baseline} if baseline else {}),
        **({"reference": spec.reference} if spec.reference else {}),
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


@dataclasses.dataclass(frozen=True)
class Selection:
    """The checkpoint that evaluation, prediction and export use.

    Attributes:
      found: the checkpoint.
      kind: best or last.
      damaged: why not the one that should be used; empty if it is.
    """

    found: CheckpointInfo
    kind: str
    damaged: str

    def announce(self) -> None:
        """Says on stderr if another checkpoint should have been used."""
        if self.damaged:
            print(
                f"{self.damaged}; using the checkpoint of step {self.found.step}", file=sys.stderr
            )


def select_checkpoint(checkpoints: Checkpoints, weights: str) -> Selection | None:
    """The best or the last complete checkpoint; the last if no evaluation selected a best."""
    last, damaged = checkpoints.newest()
    if last is None:
        return None
    reason = damaged[0] if damaged else ""
    best_step = last.loop_state["best_step"]
    if weights == "last" or best_step < 0:
        return Selection(last, "last", reason)
    best, why = checkpoints.find(best_step)
    if best is None:
        return Selection(
            last, "last", f"the best checkpoint, of step {best_step}, is corrupt ({why})"
        )
    return Selection(best, "best", reason)


def checkpoint_of(path: str, weights: str) -> CheckpointInfo:
    """The best or the last checkpoint of an existing run; says so if it is damaged.

    Raises:
      UserError: if none is complete.
    """
    # Nothing is saved here, so `keep` has no effect.
    selection = select_checkpoint(Checkpoints(WorkDirectory(path).checkpoints, keep=1), weights)
    if selection is None:
        raise UserError(f"--workdir {path!r} has no complete checkpoint; train first")
    selection.announce()
    return selection.found


def create(path: str) -> None:
    """Creates the work directory.

    Raises:
      UserError: if it cannot be created.
    """
    try:
        tf.io.gfile.makedirs(path)
    except tf.errors.OpError as error:
        raise UserError(f"--workdir {path!r} cannot be created: {error.message}") from error


def prepare(
    path: str,
    experiment: loading.Experiment,
    signature: Mapping[str, Any] | None = None,
    skipped: Sequence[tuple[str, str]] = (),
) -> None:
    """Writes what describes the run into the work directory of an experiment that is not finished.

    Args:
      path: the work directory.
      experiment: written as config.json.
      signature: written as signature.json; None: no file.
      skipped: names of inputs that were left out, and why; written as skipped.jsonl.
    """
    create(path)
    workdir = WorkDirectory(path)
    record_experiment(path, experiment)
    if signature is not None:
        files.write_json(workdir.signature, signature)
    if skipped:
        lines = [json.dumps({"input": name, "reason": reason}) for name, reason in skipped]
        files.write_text(workdir.skipped, "\n".join(lines) + "\n")


@contextlib.contextmanager
def _full_disk_as_user_error(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        if not files.is_disk_full(error):
            raise
        last, _ = Checkpoints(WorkDirectory(path).checkpoints, keep=1).newest()
        saved = (
            f"the last complete checkpoint is of step {last.step}" if last else "nothing is saved"
        )
        detail = " ".join(str(error).split())
        raise UserError(
            f"the disk of --workdir={path} is full: {saved}; free some space, then run the same "
            f"command to resume. Received: {detail}"
        ) from error


@contextlib.contextmanager
def watching_workers(runtime: Runtime) -> Iterator[None]:
    """A context that ends the process with status 75 soon after another worker is lost.

    On leaving it the first worker waits for the end of the others.
    """
    try:
        with peers.watched(runtime.other_workers):
            yield
    except tf.errors.OpError as error:
        if runtime.workers == 1 or not isinstance(error, _ERRORS_OF_A_LOST_WORKER):
            raise
        peers.end_process(peers.lost(runtime.other_workers))
    finally:
        if runtime.worker == 0:
            peers.wait_until_ended(runtime.other_workers)


def _no_lock() -> None:
    """The lock of a worker that writes no files."""


def _versions() -> dict[str, str]:
    # TensorFlow's CPU and TPU builds are packages of other names.
    versions = {"python": sys.version.split()[0], "tensorflow": tf.__version__}
    for package in _PACKAGES:
        # Only agents need TF-Agents.
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions

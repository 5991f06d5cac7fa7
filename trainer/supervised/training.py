"""`trainer train` for a supervised experiment: from configuration to result."""

import dataclasses
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

from trainer.compat.keras import tf
from trainer.config.optimizers import ConstantSchedule
from trainer.config.supervised import Supervised, Train
from trainer.data.examples import Dataset
from trainer.data.loading import load
from trainer.engine import agreement, distribution, runner
from trainer.engine.checkpoints import CheckpointInfo, Checkpoints
from trainer.engine.loop_state import LoopState
from trainer.engine.schedule import Schedule
from trainer.engine.workdir import (
    WorkDirectory,
    announce_finished,
    check_not_shorter,
    check_usable,
    finished_result,
    load_experiment,
)
from trainer.errors import UserError, unknown_name
from trainer.io.files import write_json
from trainer.io.paths import to_path
from trainer.metrics import table
from trainer.optim.schedules import LearningRate
from trainer.supervised import initial_weights, run_data, thresholds
from trainer.supervised.classifier import restore_network
from trainer.supervised.task import SupervisedTask

_REPORTS_PER_RUN = 20


def train(
    experiment: Supervised,
    path: str,
    runtime: distribution.Runtime,
    data_dir: str,
    session: runner.Session,
    accept_changed_data: bool = False,
    prepare: Callable[[], None] = lambda: None,
) -> Mapping[str, Any] | None:
    """Trains, or resumes, the run of `experiment.seed`; returns what `runner.run` does.

    Resuming with data that have changed is refused unless `accept_changed_data`.

    Args:
      experiment: the configuration, with one seed.
      path: its work directory.
      runtime: where to compute.
      data_dir: directory of prepared TensorFlow Datasets; empty: TFDS' default.
      session: the process of the run.
      accept_changed_data: resume although the data have changed.
      prepare: called after all checks, before anything is written.

    Raises:
      UserError: if data, model or strategy do not fit; nothing has been written then.
      Interrupted: when a stop was requested; the state is saved.
    """
    split = experiment.evaluate.split
    with agreement.shared_errors(runtime):
        if runtime.is_chief:
            check_usable(path, experiment)
        dataset = load(experiment.data, data_dir, run_data.stored_columns(path))
        if split == "validation":
            dataset = _without_test(dataset)
        dataset = run_data.for_training(dataset, path, accept_changed_data)
        _check_batch(experiment.train, dataset, runtime.replicas)
        _check_thresholds(experiment, dataset)
        train_size = len(dataset.splits["train"])
        schedule = make_schedule(experiment, train_size, dataset.signature.target)
        if runtime.is_chief:
            _check_not_shorter(experiment, path, train_size)
    finished = finished_result(path, experiment) if runtime.is_chief else None
    if any(runtime.texts_of_workers("finished" if finished else "")):
        if finished:
            announce_finished(finished)
        return finished
    if runtime.is_chief:
        _announce_jump(experiment, path, schedule.total_steps, train_size)
    task = SupervisedTask(experiment, dataset, runtime, schedule.total_steps)

    with agreement.shared_errors(runtime):
        _load_weights(experiment, path, task, dataset, runtime)
    if runtime.is_chief and dataset.summary:
        print(dataset.summary, file=sys.stderr)
    prepare()

    def final_evaluation(found: CheckpointInfo) -> runner.FinalEvaluation:
        name = "test" if split == "test" else "eval"
        restore_network(found, task.network, task.ema)
        if experiment.evaluate.threshold:
            _choose_thresholds(experiment, task, dataset, path, runtime)
        metrics = task.evaluate_split(dataset.splits[split])
        return runner.FinalEvaluation(name, metrics, task.baseline(dataset.splits[split]))

    return runner.run(
        runner.RunSpec(
            experiment=experiment,
            task=task,
            schedule=schedule,
            checkpoints_to_keep=experiment.train.checkpoints_to_keep,
            weights=experiment.evaluate.checkpoint,
            signature=dataset.signature.to_json(),
            final_evaluation=final_evaluation,
            reference=experiment.evaluate.reference,
            skipped=dataset.skipped,
            classes=dataset.signature.classes,
        ),
        path,
        runtime,
        session,
    )


def _load_weights(
    experiment: Supervised,
    path: str,
    task: SupervisedTask,
    dataset: Dataset,
    runtime: distribution.Runtime,
) -> None:
    """Sets the network of a run that begins to `model.weights`, and says what is loaded."""
    weights = experiment.model.weights
    if not weights or Checkpoints(WorkDirectory(path).checkpoints, keep=1).newest()[0]:
        return
    loaded = initial_weights.load(task.network, weights, dataset.signature.classes)
    if task.ema:
        task.ema.restart()
    if runtime.is_chief:
        print(loaded.describe(weights), file=sys.stderr)


def _choose_thresholds(
    experiment: Supervised,
    task: SupervisedTask,
    dataset: Dataset,
    path: str,
    runtime: distribution.Runtime,
) -> None:
    """Sets the decision thresholds of the task, and stores them in signature.json."""
    histograms = task.score_histograms(dataset.splits["validation"])
    evaluate = experiment.evaluate
    chosen = thresholds.choose(histograms, evaluate.threshold, evaluate.costs)
    task.signature = dataclasses.replace(task.signature, thresholds=chosen)
    if runtime.is_chief:
        write_json(WorkDirectory(path).signature, task.signature.to_json())


def _without_test(dataset: Dataset) -> Dataset:
    """The data set of a run whose metrics must not depend on the test split."""
    if "validation" not in dataset.splits:
        raise UserError(
            "evaluate.split=validation needs a validation split; hold one out with "
            "data.validation_fraction"
        )
    splits = {name: split for name, split in dataset.splits.items() if name != "test"}
    return dataclasses.replace(dataset, splits=splits)


def _check_thresholds(experiment: Supervised, dataset: Dataset) -> None:
    thresholds.check(experiment.evaluate.threshold, dataset.signature)
    if experiment.evaluate.threshold and "validation" not in dataset.splits:
        raise UserError(
            "evaluate.threshold needs a validation split; hold one out with "
            "data.validation_fraction"
        )


def _check_not_shorter(experiment: Supervised, path: str, train_size: int) -> None:
    """Compares updates, since `train.steps` and `train.epochs` are different units."""
    if not to_path(WorkDirectory(path).config).exists():
        return
    held = load_experiment(path)
    assert isinstance(held, Supervised), "check_usable has compared the tasks"
    old, new = (total_steps(each.train, train_size) for each in (held, experiment))
    check_not_shorter(path, {"updates": old}, {"updates": new})


def _announce_jump(experiment: Supervised, path: str, total: int, train_size: int) -> None:
    """Says on stderr if a run's new length changes the learning rate at which it resumes.

    Args:
      experiment: the configuration.
      path: the work directory.
      total: the new length, updates.
      train_size: examples of the training split.
    """
    optimizer = experiment.optimizer
    # The others do not depend on the length, and reading a checkpoint takes time.
    if optimizer.schedule == ConstantSchedule() or optimizer.schedule_steps:
        return
    found, _ = Checkpoints(WorkDirectory(path).checkpoints, keep=1).newest()
    if found is None:
        return
    state = LoopState(**found.loop_state)
    scale = 0.5**state.rollbacks
    updates_per_epoch = train_size / experiment.train.global_batch_size
    old, new = (
        scale * float(LearningRate(optimizer, length, updates_per_epoch)(tf.constant(state.step)))
        for length in (state.total_steps, total)
    )
    if not math.isclose(old, new, rel_tol=1e-6, abs_tol=1e-12):
        print(
            f"the learning rate jumps from {old:.3g} to {new:.3g} at step {state.step}, because "
            f"its schedule ends at step {total} instead of {state.total_steps}; to avoid this, "
            "set optimizer.schedule_steps to the final length before the first start",
            file=sys.stderr,
        )


def make_schedule(experiment: Supervised, train_size: int, target: str) -> Schedule:
    """The schedule for a training split of `train_size` examples and a kind of target.

    Raises:
      UserError: if `evaluate.best_metric` is not evaluated.
    """
    train = experiment.train
    total = total_steps(train, train_size)
    evaluate_every = train.evaluate_every or math.ceil(train_size / train.global_batch_size)
    return Schedule(
        total_steps=total,
        report_every=train.report_every or math.ceil(total / _REPORTS_PER_RUN),
        evaluate_every=evaluate_every,
        checkpoint_every=train.checkpoint_every or evaluate_every,
        best_metric=experiment.evaluate.best_metric,
        more_is_better=_more_is_better(experiment, target),
        early_stopping=train.early_stopping,
        nan_rollbacks=train.nan_rollbacks,
    )


def _more_is_better(experiment: Supervised, target: str) -> bool:
    evaluate = experiment.evaluate
    by_name = {
        metric.name: metric.more_is_better
        for metric in table.find_all(evaluate.metrics, target)
        if metric.more_is_better is not None
    }
    if evaluate.best_metric not in by_name:
        raise unknown_name("evaluate.best_metric", evaluate.best_metric, by_name)
    return by_name[evaluate.best_metric]


def total_steps(train: Train, train_size: int) -> int:
    """Updates of the whole run; each uses a full global batch."""
    return train.steps or math.ceil(train.epochs * train_size / train.global_batch_size)


def _check_batch(train: Train, dataset: Dataset, replicas: int) -> None:
    size, batch = len(dataset.splits["train"]), train.global_batch_size
    if batch > size:
        raise UserError(
            f"train.global_batch_size must be at most the {size} training examples. "
            f"Received: {batch}"
        )
    distribution.check_divisible(batch, replicas, "train.global_batch_size")
    share = batch // replicas
    if share % train.micro_batches:
        raise UserError(
            f"train.micro_batches must divide the {share} examples of a device per update. "
            f"Received: {train.micro_batches}"
        )
    if train.batch_norm_group and share // train.micro_batches % train.batch_norm_group:
        raise UserError(
            f"train.batch_norm_group must divide the {share // train.micro_batches} examples that "
            f"a device computes at once. Received: {train.batch_norm_group}"
        )

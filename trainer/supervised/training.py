"""`trainer train` for a supervised experiment: from configuration to result."""

import math
from collections.abc import Mapping
from typing import Any

from trainer.config.supervised import Supervised, Train
from trainer.data.examples import Dataset
from trainer.data.loading import load
from trainer.engine import distribution, runner
from trainer.engine.checkpoints import Found
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.loop import Plan
from trainer.engine.metric_writers import Value
from trainer.errors import UserError
from trainer.supervised.evaluate import evaluate_checkpoint
from trainer.supervised.task import ClassificationTask

_REPORTS_A_RUN = 20


def train(
    experiment: Supervised,
    path: str,
    distribution_config: DistributionConfig,
    data_dir: str,
    session: runner.Session,
) -> Mapping[str, Any] | None:
    """Trains, or resumes, in the work directory `path`; returns what `runner.run` does.

    Raises:
      UserError: if data, network or distribution do not fit; nothing has been written then.
      Interrupted: when a stop was requested; the state is saved.
    """
    runtime = distribution.create(distribution_config)
    runner.announce(runtime)
    dataset = load(experiment.data, data_dir)
    split = experiment.evaluate.split
    if split == "validation":
        dataset = _without_test(dataset)
    _check_batch(experiment.train.global_batch_size, dataset, runtime.replicas)
    session.check()
    plan = make_plan(experiment, len(dataset.splits["train"].labels))
    task = ClassificationTask(experiment, dataset, runtime, plan.total)

    def final_evaluation(found: Found) -> tuple[str, Mapping[str, Value]]:
        name = "test" if split == "test" else "eval"
        return name, evaluate_checkpoint(found, task, dataset, split)

    def throughput(steps_per_second: float, input_wait_fraction: float) -> Mapping[str, float]:
        return {
            "examples_per_second": steps_per_second * experiment.train.global_batch_size,
            "updates_per_second": steps_per_second,
            "input_wait_fraction": input_wait_fraction,
        }

    return runner.run(
        runner.Job(
            experiment=experiment,
            task=task,
            plan=plan,
            checkpoints_to_keep=experiment.train.checkpoints_to_keep,
            weights=experiment.evaluate.checkpoint,
            signature=dataset.signature.to_json(),
            final_evaluation=final_evaluation,
            throughput=throughput,
        ),
        path,
        runtime,
        session,
    )


def _without_test(dataset: Dataset) -> Dataset:
    """The data set for a run whose figures must owe nothing to the test split."""
    if "validation" not in dataset.splits:
        raise UserError(
            "evaluate.split=validation needs a validation split; hold one out with "
            f"data.validation_fraction. Received: {', '.join(sorted(dataset.splits))}"
        )
    splits = {name: split for name, split in dataset.splits.items() if name != "test"}
    return Dataset(splits, dataset.signature)


def make_plan(experiment: Supervised, train_size: int) -> Plan:
    """When what happens, for a training split of `train_size` examples."""
    train = experiment.train
    total = total_steps(train, train_size)
    evaluate_every = train.evaluate_every or math.ceil(train_size / train.global_batch_size)
    return Plan(
        total=total,
        report_every=train.report_every or math.ceil(total / _REPORTS_A_RUN),
        evaluate_every=evaluate_every,
        checkpoint_every=train.checkpoint_every or evaluate_every,
        best_metric=experiment.evaluate.best_metric,
        best_is_max=experiment.evaluate.best_metric == "accuracy",
        early_stopping=train.early_stopping,
        nan_rollbacks=train.nan_rollbacks,
    )


def total_steps(train: Train, train_size: int) -> int:
    """Updates of the whole run; every one is of a full global batch."""
    return train.steps or math.ceil(train.epochs * train_size / train.global_batch_size)


def _check_batch(global_batch_size: int, dataset: Dataset, replicas: int) -> None:
    size = len(dataset.splits["train"].labels)
    if global_batch_size > size:
        raise UserError(
            f"train.global_batch_size must be at most the {size} training examples. "
            f"Received: {global_batch_size}"
        )
    distribution.check_divisible(global_batch_size, replicas, "train.global_batch_size")

"""`trainer evaluate` for a supervised run."""

from collections.abc import Mapping

from trainer.config.supervised import Supervised
from trainer.data.examples import Dataset
from trainer.data.loading import load
from trainer.engine import distribution
from trainer.engine.checkpoints import CheckpointInfo
from trainer.engine.runner import checkpoint_of
from trainer.errors import unknown_name
from trainer.io.records import Value
from trainer.supervised import run_data
from trainer.supervised.classifier import restore_network
from trainer.supervised.task import SupervisedTask


def evaluate(
    experiment: Supervised,
    path: str,
    split: str,
    runtime: distribution.Runtime,
    data_dir: str,
) -> tuple[int, Mapping[str, Value]]:
    """The step of a run's selected checkpoint, and its metrics on a split.

    Scaling and classes are those that the run began with, whatever the data are now.

    Raises:
      UserError: if there is no such split, no checkpoint, the data are gone, or the network
        cannot use them.
    """
    found = checkpoint_of(path, experiment.evaluate.checkpoint)
    signature = run_data.stored_signature(path)
    dataset = load(experiment.data, data_dir, signature.columns)
    if split not in dataset.splits:
        raise unknown_name("value of --split", split, dataset.splits)
    dataset = run_data.for_evaluation(dataset, split, signature)
    task = SupervisedTask(experiment, dataset, runtime, total_steps=1)
    return found.step, evaluate_checkpoint(found, task, dataset, split)


def evaluate_checkpoint(
    found: CheckpointInfo, task: SupervisedTask, dataset: Dataset, split: str
) -> Mapping[str, Value]:
    """The metrics of a checkpoint's weights on a split; the task's weights are replaced."""
    restore_network(found, task.network, task.ema)
    return task.evaluate_split(dataset.splits[split])

"""`trainer evaluate` for a supervised run."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from trainer.config.supervised import Supervised
from trainer.data import changes
from trainer.data.examples import Dataset
from trainer.data.loading import load
from trainer.data.signature import Signature
from trainer.engine.distribution import Runtime
from trainer.errors import unknown_name
from trainer.io.records import Value
from trainer.metrics import table
from trainer.metrics.metric import Metric
from trainer.supervised import run_data
from trainer.supervised.evaluation import Evaluation, finish
from trainer.supervised.intervals import bootstrap
from trainer.supervised.predictor import Predictor

# The name of the split that is all examples of other data.
ALL = "all"
_TOP_5 = 5


class Evaluated(NamedTuple):
    """What an evaluation found.

    Attributes:
      step: updates that the weights were trained for.
      metrics: by name.
      intervals: the 95 % intervals of the metrics that are numbers.
      classes: of the run.
    """

    step: int
    metrics: Mapping[str, Value]
    intervals: Mapping[str, tuple[float, float]]
    classes: tuple[str, ...]


def evaluate(
    experiment: Supervised,
    path: str,
    split: str,
    runtime: Runtime,
    data_dir: str,
    is_other_data: bool = False,
) -> Evaluated:
    """Evaluates a run's selected checkpoint by the run's metrics and all others of the target.

    Scaling and classes are those that the run began with, whatever the data are now.

    Args:
      experiment: the configuration, with one seed.
      path: the work directory.
      split: train, validation or test; of other data also all.
      runtime: where to compute.
      data_dir: as in `load`.
      is_other_data: whether `experiment.data` are not those of the run.

    Raises:
      UserError: if there is no such split, no checkpoint, the data are gone, or the network
        cannot use them.
    """
    predictor = Predictor(experiment, path, runtime)
    signature = predictor.signature
    dataset = _data(experiment, data_dir, split, signature, is_other_data)
    evaluation = Evaluation(predictor.logits, runtime, experiment.evaluate.batch_size)
    metrics = all_metrics(experiment.evaluate.metrics, signature)
    names = dataset.splits if split == ALL else [split]
    parts = [
        evaluation.sums_and_outputs(dataset.splits[name], metrics, signature) for name in names
    ]
    sums = [sum(each) for each in zip(*(part for part, _ in parts), strict=True)]
    outputs = np.concatenate([each for _, each in parts])
    targets = np.concatenate([dataset.splits[name].targets for name in names])
    return Evaluated(
        predictor.step,
        finish(metrics, sums),
        bootstrap(metrics, signature, outputs, targets),
        signature.classes,
    )


def all_metrics(names: Sequence[str], signature: Signature) -> tuple[Metric, ...]:
    """The named metrics and then the others of the target.

    The share of examples whose class is among the five most probable says nothing of five classes.
    """
    own = table.find_all(names, signature.target)
    taken = {metric.name for metric in own}
    says_nothing = {"top_5"} if len(signature.classes) <= _TOP_5 else set()
    others = [
        metric
        for name, metric in table.TABLES[signature.target].items()
        if name not in taken | says_nothing
    ]
    return (*own, *others)


def _data(
    experiment: Supervised, data_dir: str, split: str, signature: Signature, is_other_data: bool
) -> Dataset:
    """The data with the run's scaling and classes."""
    dataset = load(experiment.data, data_dir, signature.columns, holds_out=split != ALL)
    known = [*dataset.splits, *([ALL] if is_other_data else [])]
    if split not in known:
        raise unknown_name("value of --split", split, known)
    if is_other_data:
        return changes.adopt(dataset, signature)
    return run_data.for_evaluation(dataset, split, signature)

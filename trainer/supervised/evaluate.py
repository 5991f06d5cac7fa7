"""What a finished or stopped run can do: be evaluated, and predict."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.supervised import Supervised
from trainer.data.examples import Dataset, Signature
from trainer.data.loading import load
from trainer.data.preprocessing import read_examples
from trainer.engine import distribution
from trainer.engine.checkpoints import Found, restore
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.metric_writers import Value
from trainer.engine.runner import checkpoint_of
from trainer.engine.workdir import WorkDirectory
from trainer.errors import unknown_name
from trainer.io.files import read_json
from trainer.supervised.task import ClassificationTask, Classifier


def evaluate_checkpoint(
    found: Found, task: ClassificationTask, dataset: Dataset, split: str
) -> Mapping[str, Value]:
    """Loss and accuracy of a checkpoint's weights on a split."""
    restore(found, tf.train.Checkpoint(network=task.network))
    return task.evaluate_split(dataset.splits[split])


def evaluate(
    experiment: Supervised,
    path: str,
    split: str,
    distribution_config: DistributionConfig,
    data_dir: str,
) -> Mapping[str, Any]:
    """The metrics of a run's chosen checkpoint on a split, with its step.

    Raises:
      UserError: if there is no such split, no checkpoint, or the data are gone.
    """
    found = checkpoint_of(path, experiment.evaluate.checkpoint)
    dataset = load(experiment.data, data_dir)
    if split not in dataset.splits:
        raise unknown_name("value of --split", split, dataset.splits)
    runtime = distribution.create(distribution_config)
    task = ClassificationTask(experiment, dataset, runtime, total_steps=1)
    metrics = evaluate_checkpoint(found, task, dataset, split)
    return {"split": split, "step": found.step, "metrics": dict(metrics)}


def predict(experiment: Supervised, path: str, files: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """A prediction for each image file and each row of a CSV file.

    Raises:
      UserError: if a file cannot be used, or there is no checkpoint.
    """
    found = checkpoint_of(path, experiment.evaluate.checkpoint)
    signature = Signature.from_json(read_json(WorkDirectory(path).signature))
    features, names = read_examples(files, signature)
    classifier = Classifier(experiment, signature, tf.Variable(0, dtype=tf.int64))
    restore(found, tf.train.Checkpoint(network=classifier.network))
    for name, probabilities in zip(names, _probabilities(classifier, features), strict=True):
        best = int(np.argmax(probabilities))
        yield {
            "file": name,
            "class": signature.classes[best],
            "probability": float(probabilities[best]),
            "probabilities": dict(zip(signature.classes, map(float, probabilities), strict=True)),
        }


def _probabilities(classifier: Classifier, features: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    @tf.function(reduce_retracing=True)
    def softmax(batch: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(classifier.logits(batch, training=False))

    for first in range(0, len(features), 256):
        yield from softmax(tf.constant(features[first : first + 256])).numpy()

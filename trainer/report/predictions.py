"""What the selected checkpoint predicts for the split of a run's final evaluation."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.supervised import Supervised
from trainer.data.examples import Examples
from trainer.data.loading import load
from trainer.data.signature import Signature
from trainer.engine.distribution import Runtime
from trainer.io.records import Value, is_finite
from trainer.metrics import table
from trainer.supervised import run_data, targets
from trainer.supervised.evaluation import Evaluation, finish
from trainer.supervised.predictor import Predictor

# Of float32 sums in another order.
_TOLERANCE = 1e-3
_SMALLEST = 1e-6


@dataclasses.dataclass(frozen=True)
class Predictions:
    """A split and what the network makes of it.

    Attributes:
      split: name of the split.
      examples: of the split.
      predictor: the network.
      outputs: of the network, float32 `[N, C]`.
      predicted: probabilities, or the values of a regression, float32 `[N, C]`.
      decisions: number of the predicted class `[N]`; whether each label is predicted `[N, C]`; of a
        regression as `predicted`.
      metrics: of the run, by name.
    """

    split: str
    examples: Examples
    predictor: Predictor
    outputs: NDArray[np.float32]
    predicted: NDArray[np.float32]
    decisions: NDArray[Any]
    metrics: Mapping[str, Value]

    @property
    def signature(self) -> Signature:
        """Of the run's data."""
        return self.predictor.signature

    @property
    def targets(self) -> NDArray[Any]:
        """As stored, see `Examples.at`."""
        return self.examples.targets

    def features(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """The stored features `[B, ...]` of examples at positions."""
        return np.concatenate(list(self.examples.select(positions).chunks()))


def of_run(experiment: Supervised, path: str, runtime: Runtime, data_dir: str) -> Predictions:
    """Loads the data and the network of a run with one seed, and predicts.

    Raises:
      UserError: if there is no checkpoint, or the data are gone or cannot be used.
    """
    predictor = Predictor(experiment, path, runtime)
    signature, split = predictor.signature, experiment.evaluate.split
    dataset = load(experiment.data, data_dir, signature.columns)
    examples = run_data.for_evaluation(dataset, split, signature).splits[split]
    evaluation = Evaluation(predictor.logits, runtime, experiment.evaluate.batch_size)
    metrics = table.find_all(experiment.evaluate.metrics, signature.target)
    sums, outputs = evaluation.sums_and_outputs(examples, metrics, signature)
    return Predictions(
        split,
        examples,
        predictor,
        outputs,
        targets.predictions(tf.constant(outputs), signature).numpy(),
        _decisions(outputs, signature),
        finish(metrics, sums),
    )


def _decisions(outputs: NDArray[np.float32], signature: Signature) -> NDArray[Any]:
    if signature.target == "regression":
        values: NDArray[Any] = targets.values(tf.constant(outputs), signature).numpy()
        return values
    shifted: NDArray[Any] = targets.decisions(tf.constant(outputs), signature).numpy()
    return shifted.argmax(axis=1) if signature.target == "classification" else shifted >= 0


def differences(found: Predictions, reported: Mapping[str, Any]) -> list[str]:
    """Metrics of the predictions that differ from those of result.json.

    Args:
      found: the predictions.
      reported: `metrics` of result.json.
    """
    prefix = "test" if found.split == "test" else "eval"
    different = []
    for metric, now in found.metrics.items():
        then = reported.get(f"{prefix}/{metric}")
        if not is_finite(now) or not is_finite(then):
            continue
        if not math.isclose(now, then, rel_tol=_TOLERANCE, abs_tol=_SMALLEST):
            different.append(f"{prefix}/{metric} is {now:.5g} now and was {then:.5g}")
    return different

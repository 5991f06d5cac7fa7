"""Export of a supervised run."""

import dataclasses
import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.supervised import Supervised
from trainer.data.examples import Dataset
from trainer.data.loading import load
from trainer.data.signature import REGRESSION, Signature
from trainer.engine import distribution, seed_folders
from trainer.engine.distribution_config import DistributionConfig
from trainer.errors import UserError, unknown_name
from trainer.export import description, model_card, output, samples
from trainer.export.cells import input_names, input_specs
from trainer.export.checking import TOLERANCE, Call, Checker
from trainer.export.formats import FORMATS, Network, check_installed
from trainer.export.inference import Inference
from trainer.metrics import table
from trainer.supervised import run_data
from trainer.supervised.evaluation import Evaluation
from trainer.supervised.intervals import bootstrap
from trainer.supervised.predictor import Predictor
from trainer.supervised.targets import decided, predictions

# Of the quantized network, in percent; and the examples that both are measured on.
_MOST_LOST = 1.0
_MEASURED = 2000
_CALIBRATION = 256


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained network and its data."""

    network: Network
    evaluation: Evaluation
    dataset: Dataset
    split: str

    @property
    def signature(self) -> Signature:
        """Of the run."""
        return self.network.predictor.signature


def export(
    experiment: Supervised,
    path: str,
    folder: str,
    kind: str,
    data_dir: str,
    intended_use: str,
    checker: Checker,
) -> int:
    """Writes the network of a run's selected checkpoint, once it computes what the run computes.

    Args:
      experiment: the configuration.
      path: the work directory.
      folder: where to; new or empty.
      kind: one of `FORMATS`.
      data_dir: directory of prepared TensorFlow Datasets; empty: TFDS' default.
      intended_use: a text for the model card.
      checker: of the format.

    Returns:
      The updates that the weights were trained for.

    Raises:
      UserError: if there is no checkpoint, the data are gone, the network does not fit the format,
        or the export differs from the network.
    """
    seed_folders.require_one(experiment, path)
    check_installed(kind)
    output.check_new(folder)
    trained = _load(experiment, path, data_dir)
    predictor = trained.network.predictor
    with output.new_folder(folder) as local:
        written = FORMATS[kind](trained.network, local)
        _compare(trained, kind, written, checker)
        description.write(local, _description(trained, kind, os.path.relpath(written, local)))
        model_card.write(
            local,
            path,
            experiment,
            kind,
            predictor.step,
            intended_use,
            trained.signature,
            _intervals(trained),
        )
    return predictor.step


def check(experiment: Supervised, path: str, folder: str, data_dir: str) -> int:
    """Checks an export: its files, and that it computes what the run computes.

    Returns:
      The updates that the weights were trained for.

    Raises:
      UserError: if it is damaged, or differs from the run.
    """
    seed_folders.require_one(experiment, path)
    with output.existing_folder(folder) as local:
        described = description.read(local)
        description.check_files(local, described)
        kind, file = str(described["format"]), str(described["file"])
        if kind not in FORMATS:
            raise unknown_name(f"format in {description.NAME}", kind, FORMATS)
        check_installed(kind)
        with Checker(kind) as checker:
            trained = _load(experiment, path, data_dir)
            description.check_equal(described, _description(trained, kind, file))
            _compare(trained, kind, os.path.join(local, file), checker)
    return trained.network.predictor.step


def _load(experiment: Supervised, path: str, data_dir: str) -> Trained:
    # Exports compute in float32 on any processor.
    runtime = distribution.create(DistributionConfig(strategy="cpu", precision="float32"))
    predictor = Predictor(experiment, path, runtime)
    split = experiment.evaluate.split
    dataset = load(experiment.data, data_dir, predictor.signature.columns)
    dataset = run_data.for_evaluation(dataset, split, predictor.signature)
    calibration = functools.partial(samples.calibration, dataset.splits["train"], _CALIBRATION)
    inference = Inference(predictor, samples.first(dataset.splits[split], 1).dtype)
    evaluation = Evaluation(predictor.logits, runtime, experiment.evaluate.batch_size)
    return Trained(Network(predictor, inference, calibration), evaluation, dataset, split)


def _compare(trained: Trained, kind: str, written: str, checker: Checker) -> None:
    """Opens an export in another process, and compares it with the network."""
    if kind == "tflite_int8":
        _compare_quality(trained, written, checker)
        return
    experiment = trained.network.predictor.experiment
    taken = samples.take(experiment.data, trained.signature, trained.dataset.splits[trained.split])
    expected = _numbers(trained, taken.stored)
    spec = trained.network.inference.array_spec
    name = "values" if trained.signature.target == REGRESSION else "probabilities"
    scale: NDArray[np.float64] | float = 1.0
    if trained.signature.target == REGRESSION:
        # Values far from 0 have fewer digits behind the point.
        step = np.spacing(np.abs(np.array(trained.signature.target_offset, np.float32)))
        scale = 1 / np.array(trained.signature.target_scale) + 4 * step / TOLERANCE
    calls = [Call("arrays", {spec.name: taken.stored}, name, expected, scale)]
    if kind == "saved_model":
        calls.append(Call("serving_default", taken.inputs, name, expected, scale))
    else:
        calls = [each._replace(output="") for each in calls]
    checker.check(written, calls)


def _numbers(trained: Trained, stored: NDArray[Any]) -> NDArray[np.float32]:
    """What the live network gives for stored examples."""
    size = trained.network.predictor.batch_size
    parts = [
        trained.network.predictor.outputs(stored[first : first + size])
        for first in range(0, len(stored), size)
    ]
    outputs = tf.constant(np.concatenate(parts))
    numbers: NDArray[np.float32] = predictions(outputs, trained.signature).numpy()
    return numbers


def _compare_quality(trained: Trained, written: str, checker: Checker) -> None:
    """Compares accuracies, since a quantized network has other probabilities."""
    examples = trained.dataset.splits[trained.split]
    positions = np.linspace(0, len(examples) - 1, min(_MEASURED, len(examples))).astype(np.int64)
    measured = examples.select(positions)
    stored = samples.first(measured, len(measured))
    spec = trained.network.inference.array_spec
    call = Call("", {spec.name: stored}, "", np.zeros(0))
    (quantized,) = checker.outputs(written, [call])
    before, after = (
        _quality(numbers, measured.targets, trained.signature)
        for numbers in (_numbers(trained, stored), quantized)
    )
    if before - after > _MOST_LOST:
        raise UserError(
            f"with 8 bits the network has {after:.1f} instead of {before:.1f} % on "
            f"{len(measured)} examples of the {trained.split} split, more than {_MOST_LOST:g} "
            "point less; export it with --format=tflite"
        )


def _quality(numbers: NDArray[Any], targets: NDArray[Any], signature: Signature) -> float:
    """Accuracy in percent, of labels one by one; of a regression R² in percent."""
    if signature.target == REGRESSION:
        residual = np.square(numbers - targets).mean(axis=0)
        return float(100 * (1 - residual / np.maximum(targets.var(axis=0), 1e-12)).mean())
    chosen = decided(tf.constant(numbers), signature).numpy()
    return float(100 * np.mean(chosen == (targets if chosen.ndim == 1 else targets > 0)))


def _intervals(trained: Trained) -> Mapping[str, tuple[float, float]]:
    """The 95 % intervals of the run's metrics by their names in result.json."""
    predictor, examples = trained.network.predictor, trained.dataset.splits[trained.split]
    metrics = table.find_all(predictor.experiment.evaluate.metrics, trained.signature.target)
    _, outputs = trained.evaluation.sums_and_outputs(examples, metrics, trained.signature)
    prefix = "test" if trained.split == "test" else "eval"
    intervals = bootstrap(metrics, trained.signature, outputs, examples.targets)
    return {f"{prefix}/{name}": interval for name, interval in intervals.items()}


def _description(trained: Trained, kind: str, file: str) -> dict[str, Any]:
    signature = trained.signature
    spec = trained.network.inference.array_spec
    return {
        "format": kind,
        "file": file,
        "step": trained.network.predictor.step,
        "target": signature.target,
        "names": list(signature.classes),
        "thresholds": list(signature.thresholds),
        "arrays": {"name": spec.name, "dtype": spec.dtype.name, "shape": list(spec.shape)},
        "columns": _columns(signature),
    }


def _columns(signature: Signature) -> Sequence[dict[str, str]]:
    """The inputs of a table's columns: the name in a signature, and its type."""
    names: dict[str, str] = input_names(signature.columns)
    specs: Iterable[tuple[str, tf.TensorSpec]] = input_specs(signature.columns).items()
    return [
        {"column": column, "input": names[column], "dtype": spec.dtype.name}
        for column, spec in specs
    ]

"""The report of a supervised experiment, of one seed or several."""

from collections.abc import Mapping
from typing import Any

from trainer.config.supervised import Supervised
from trainer.data.signature import CLASSIFICATION, MULTI_LABEL
from trainer.engine import distribution, seed_folders
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.workdir import WorkDirectory, finished_result
from trainer.errors import UserError
from trainer.io.records import read_records
from trainer.pages.page import Part, Section, page, text
from trainer.report import classification, mistakes, predictions, regression, saliency, sections
from trainer.supervised.gradients import can_be_halved


def report(
    experiment: Supervised, path: str, distribution_config: DistributionConfig, data_dir: str
) -> str:
    """The HTML of the report.

    What needs the data is left out, with the reason, if they are gone.

    Args:
      experiment: the configuration of the work directory.
      path: the work directory.
      distribution_config: where to compute predictions.
      data_dir: directory of prepared TensorFlow Datasets.
    """
    runs = seed_folders.runs(experiment, path)
    result = finished_result(path, experiment)
    first, first_path = runs[0]
    first_result = finished_result(first_path, first)
    records = {f"seed {run.seed}": read_records(WorkDirectory(each).metrics) for run, each in runs}
    found: list[Section] = []
    if result:
        baseline = (first_result or {}).get("baseline", {})
        found += [Section("Result", sections.results(result, baseline))]
    if any(records.values()):
        found += [Section("Curves", sections.metric_curves(records, "updates"))]
    if result and first_result:
        found += _of_examples(first, first_path, first_result, distribution_config, data_dir)
        found += [Section("Time", sections.seconds(result))]
    found += sections.setup(experiment, path, result)
    return page(sections.title(path), _lead(experiment, result), found)


def _lead(experiment: Supervised, result: Mapping[str, Any] | None) -> list[Part]:
    what = f"{experiment.model.kind} on {experiment.data.kind}, seed {experiment.seed}"
    if experiment.seeds > 1:
        what += f" and {experiment.seeds - 1} more, predictions of the first one"
    if result is None:
        return [text(what, "note"), sections.not_finished()]
    return [text(f"{what}; finished after {result['step']} updates", "note")]


def _of_examples(
    experiment: Supervised,
    path: str,
    result: Mapping[str, Any],
    distribution_config: DistributionConfig,
    data_dir: str,
) -> list[Section]:
    """What needs the data: decisions, probabilities, mistakes and saliency."""
    runtime = distribution.create(distribution_config, can_be_halved(experiment))
    try:
        found = predictions.of_run(experiment, path, runtime, data_dir)
    except UserError as error:
        return [Section("Predictions", [text(f"Left out: {error}", "warning")])]
    of_target = {
        CLASSIFICATION: classification.of_classes,
        MULTI_LABEL: classification.of_labels,
    }.get(found.signature.target, regression.of_values)
    made = [*of_target(found), mistakes.section(found), *saliency.section(found)]
    if different := predictions.differences(found, result["metrics"]):
        warning = f"Data, weights or precision are not those of the result: {'; '.join(different)}."
        made.insert(0, Section("Changed since", [text(warning, "warning")]))
    return made

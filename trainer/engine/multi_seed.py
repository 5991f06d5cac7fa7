"""An experiment of several seeds: one run per seed in its own folder, summarized in one result."""

import dataclasses
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scipy import stats

from trainer.config.loading import Experiment
from trainer.engine import runner
from trainer.engine.distribution import Runtime
from trainer.engine.metric_writers import Files
from trainer.engine.seed_folders import AnyExperiment, runs
from trainer.engine.workdir import WorkDirectory, finished_result, record_experiment
from trainer.io.files import write_json
from trainer.io.records import Record, Value, is_finite

Result = Mapping[str, Any]
# Trains the experiment of one seed in its folder, and calls its last argument after all checks,
# before anything is written. Returns None on a worker that is not the chief.
TrainOne = Callable[[AnyExperiment, str, runner.Session, Callable[[], None]], Result | None]


def train(
    experiment: AnyExperiment,
    path: str,
    runtime: Runtime,
    session: runner.Session,
    train_one: TrainOne[AnyExperiment],
    summarize: Callable[[Sequence[Mapping[str, Value]]], Mapping[str, Value]],
) -> Result | None:
    """Trains, or resumes, every run of the experiment; returns the content of result.json.

    Args:
      experiment: the configuration.
      path: the work directory.
      runtime: where to compute.
      session: the process of the runs.
      train_one: trains one of them.
      summarize: the metrics of the experiment from those of each run.

    Raises:
      UserError: if anything in the configuration does not fit.
      Interrupted: when a stop was requested; the state is saved.
    """
    if experiment.seeds == 1:
        return train_one(experiment, path, session, lambda: None)

    def prepare() -> None:
        if runtime.is_chief:
            runner.prepare(path, experiment)

    for number, (run, directory) in enumerate(runs(experiment, path), 1):
        if runtime.is_chief:
            print(f"seed {run.seed}: {number} of {experiment.seeds}", file=sys.stderr)
        own_session = dataclasses.replace(session, started=time.time())
        train_one(run, directory, own_session, prepare)
    return write_result(experiment, path, summarize) if runtime.is_chief else None


def mean_and_interval(runs: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """Each number's mean over runs, its 95 % confidence interval and the value of each run.

    The interval is Student's, mean ± t(0.975, K − 1) · s / √K for K runs. Lists, such as values
    per class, are left out.
    """
    summary: dict[str, Value] = {}
    for name in runs[0]:
        values = [value for run in runs if is_finite(value := run[name])]
        if len(values) < len(runs):
            continue
        mean = sum(values) / len(values)
        half = float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))
        summary[name] = mean
        summary[f"{name}_ci95"] = [mean - half, mean + half]
        summary[f"{name}_of_each_seed"] = values
    return {**summary, "seeds": len(runs)}


def write_result(
    experiment: Experiment,
    path: str,
    summarize: Callable[[Sequence[Mapping[str, Value]]], Mapping[str, Value]],
) -> Result:
    """Writes config.json, metrics.jsonl and result.json of an experiment whose runs are finished.

    The result has sums of seconds and means of rates.

    Args:
      experiment: the configuration.
      path: the work directory.
      summarize: as for `train`.

    Returns:
      The content of result.json.
    """
    record_experiment(path, experiment)
    results: dict[int, Result] = {}
    for run, directory in runs(experiment, path):
        result = finished_result(directory, run)
        assert result is not None, f"seed {run.seed} is not finished"
        results[run.seed] = result
    each = list(results.values())
    names = [name.partition("/") for name in each[0]["metrics"]]
    (split,) = {split for split, _, _ in names}
    finals = [{name: run["metrics"][f"{split}/{name}"] for _, _, name in names} for run in each]
    metrics = summarize(finals)
    combined = {
        "status": "finished",
        "task": experiment.task,
        "step": max(result["step"] for result in each),
        "metrics": {f"{split}/{name}": value for name, value in metrics.items()},
        **({"reference": each[0]["reference"]} if "reference" in each[0] else {}),
        "seeds": {str(seed): result["metrics"] for seed, result in results.items()},
        "throughput": {
            name: sum(result["throughput"][name] for result in each) / len(each)
            for name in each[0]["throughput"]
        },
        "seconds": {
            name: sum(result["seconds"][name] for result in each) for name in each[0]["seconds"]
        },
        "strategy": each[0]["strategy"],
        "versions": each[0]["versions"],
    }
    workdir = WorkDirectory(path)
    writer = Files(workdir.metrics, workdir.tensorboard, experiment)
    writer.rewind(0)
    writer.write(Record(combined["step"], split, time.time(), metrics))
    write_json(workdir.result, combined)
    return combined

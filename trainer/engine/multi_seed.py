"""An experiment of several seeds: one run per seed in its own folder, summarized in one result."""

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from scipy import stats

from trainer.compat.keras import tf
from trainer.config.loading import Experiment
from trainer.engine import runner
from trainer.engine import workdir as run_workdir
from trainer.engine.distribution import Runtime
from trainer.engine.metric_writers import Files
from trainer.engine.workdir import WorkDirectory
from trainer.errors import UserError
from trainer.io.files import write_json
from trainer.io.records import Record, Value, is_finite

AnyExperiment = TypeVar("AnyExperiment", bound=Experiment)
Result = Mapping[str, Any]
# Trains the experiment of one seed in its folder, and calls its last argument after all checks,
# before anything is written. Returns None on a worker that is not the chief.
TrainOne = Callable[[AnyExperiment, str, runner.Session, Callable[[], None]], Result | None]


def runs(experiment: AnyExperiment, path: str) -> list[tuple[AnyExperiment, str]]:
    """The experiment of each seed with its work directory."""
    if experiment.seeds == 1:
        return [(experiment, path)]
    seeds = range(experiment.seed, experiment.seed + experiment.seeds)
    return [
        (dataclasses.replace(experiment, seed=seed, seeds=1), os.path.join(path, f"seed_{seed}"))
        for seed in seeds
    ]


def require_one(experiment: Experiment, path: str) -> None:
    """Checks that a work directory is that of one run.

    Raises:
      UserError: naming the runs, if it has one per seed.
    """
    if experiment.seeds > 1:
        directories = ", ".join(directory for _, directory in runs(experiment, path))
        raise UserError(
            f"--workdir {path!r} has the runs of {experiment.seeds} seeds; use one of {directories}"
        )


def check_layout(experiment: Experiment, path: str) -> None:
    """Refuses to mix a single run with the runs of several seeds, which have subdirectories.

    Raises:
      UserError: if the work directory is of the other kind.
    """
    if not tf.io.gfile.exists(WorkDirectory(path).config):
        return
    held = run_workdir.load_experiment(path)
    if (held.seeds == 1) != (experiment.seeds == 1):
        raise UserError(
            "seeds can be raised only from two or more; use another --workdir than "
            f"{path!r}, which has seeds={held.seeds}. Received: {experiment.seeds}"
        )


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

    results: dict[int, Result] = {}
    for number, (run, directory) in enumerate(runs(experiment, path), 1):
        if runtime.is_chief:
            print(f"seed {run.seed}: {number} of {experiment.seeds}", file=sys.stderr)
        own_session = dataclasses.replace(session, started=time.time())
        result = train_one(run, directory, own_session, prepare)
        if result is not None:
            results[run.seed] = result
    if not runtime.is_chief:
        return None
    # Needed here if every run was finished before.
    prepare()
    return _write_result(experiment, path, results, summarize)


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


def _write_result(
    experiment: Experiment,
    path: str,
    results: Mapping[int, Result],
    summarize: Callable[[Sequence[Mapping[str, Value]]], Mapping[str, Value]],
) -> Result:
    """Writes metrics.jsonl and result.json of the experiment: sums of seconds, means of rates."""
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
        "seeds": {str(seed): result["metrics"] for seed, result in results.items()},
        "throughput": {
            name: sum(result["throughput"][name] for result in each) / len(each)
            for name in each[0]["throughput"]
        },
        "seconds": {
            name: sum(result["seconds"][name] for result in each) for name in each[0]["seconds"]
        },
        **({"reference": each[0]["reference"]} if "reference" in each[0] else {}),
        "strategy": each[0]["strategy"],
        "versions": each[0]["versions"],
    }
    workdir = WorkDirectory(path)
    writer = Files(workdir.metrics, workdir.tensorboard)
    writer.rewind(0)
    writer.write(Record(combined["step"], split, time.time(), metrics))
    write_json(workdir.result, combined)
    return combined

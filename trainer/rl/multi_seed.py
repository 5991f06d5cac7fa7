"""An experiment with agents: one run, or one run per seed and statistics across them."""

import dataclasses
import functools
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine import distribution, runner
from trainer.engine import workdir as run_workdir
from trainer.engine.distribution_config import DistributionConfig
from trainer.engine.metric_writers import Files
from trainer.engine.workdir import WorkDirectory
from trainer.errors import UserError
from trainer.io.files import write_json
from trainer.io.records import Record, Value
from trainer.rl import training
from trainer.rl.evaluate import record_split, summarize_seeds
from trainer.rl.loading import Trained, load


def train(
    experiment: ReinforcementLearning,
    path: str,
    distribution_config: DistributionConfig,
    session: runner.Session,
) -> Mapping[str, Any] | None:
    """Trains, or resumes, every run of the experiment; returns the content of result.json.

    Raises:
      UserError: if settings, environment or distribution do not fit.
      Interrupted: when a stop was requested; the state is saved.
    """
    _check_layout(experiment, path)
    runtime = create_runtime(distribution_config)
    runner.announce(runtime)
    if experiment.seeds == 1:
        return training.train(experiment, path, runtime, session)
    prepare = functools.partial(runner.prepare, path, experiment)
    results: dict[int, Mapping[str, Any]] = {}
    for number, (run, directory) in enumerate(runs(experiment, path), 1):
        print(f"seed {run.seed}: {number} of {experiment.seeds}", file=sys.stderr)
        result = runner.finished_result(directory, run)
        if result is None:
            own_session = dataclasses.replace(session, started=time.time())
            result = training.train(run, directory, runtime, own_session, prepare)
        assert result is not None, "agents train in one process"
        results[run.seed] = result
    # Needed here if every run was finished before.
    prepare()
    across = _across(experiment, list(results.values()))
    combined = _combine(experiment, results, across)
    workdir = WorkDirectory(path)
    writer = Files(workdir.metrics, workdir.tensorboard)
    writer.rewind(0)
    writer.write(Record(combined["step"], record_split(experiment), time.time(), across))
    write_json(workdir.result, combined)
    return combined


def evaluate(
    experiment: ReinforcementLearning,
    path: str,
    split: str,
    distribution_config: DistributionConfig,
) -> Mapping[str, Any]:
    """Evaluates each run's selected checkpoint on the greedy episodes of a split.

    Raises:
      UserError: if there is no such split, or no checkpoint.
    """
    agents = load_each(experiment, path, distribution_config)
    steps = [trained.step for trained in agents]
    metrics = [trained.evaluator.evaluate_split(split) for trained in agents]
    if experiment.seeds == 1:
        return {"split": split, "step": steps[0], "metrics": dict(metrics[0])}
    across = summarize_seeds(metrics, experiment.seed)
    return {"split": split, "step": steps, "metrics": dict(across)}


def load_each(
    experiment: ReinforcementLearning, path: str, distribution_config: DistributionConfig
) -> list[Trained]:
    """The trained agent of each of the experiment's runs."""
    runtime = create_runtime(distribution_config)
    return [load(run, directory, runtime) for run, directory in runs(experiment, path)]


def runs(experiment: ReinforcementLearning, path: str) -> list[tuple[ReinforcementLearning, str]]:
    """The experiment of each seed with its work directory."""
    if experiment.seeds == 1:
        return [(experiment, path)]
    seeds = range(experiment.seed, experiment.seed + experiment.seeds)
    return [
        (
            dataclasses.replace(experiment, seed=seed, seeds=1),
            os.path.join(path, f"seed_{seed}"),
        )
        for seed in seeds
    ]


def create_runtime(distribution_config: DistributionConfig) -> distribution.Runtime:
    """The runtime for a configuration; agents compute in float32 unless asked otherwise."""
    if distribution_config.precision == "auto":
        # Bootstrapped targets accumulate rounding errors.
        distribution_config = dataclasses.replace(distribution_config, precision="float32")
    return distribution.create(distribution_config)


def _check_layout(experiment: ReinforcementLearning, path: str) -> None:
    """Refuses to mix a single run with the runs of several seeds, which have subdirectories.

    Raises:
      UserError: if the work directory is of the other kind.
    """
    if not tf.io.gfile.exists(WorkDirectory(path).config):
        return
    held = run_workdir.load_experiment(path)
    if isinstance(held, ReinforcementLearning) and (held.seeds == 1) != (experiment.seeds == 1):
        raise UserError(
            "seeds can be raised only from two or more; use another --workdir than "
            f"{path!r}, which has seeds={held.seeds}. Received: {experiment.seeds}"
        )


def _across(
    experiment: ReinforcementLearning, results: Sequence[Mapping[str, Any]]
) -> Mapping[str, Value]:
    split = record_split(experiment)
    names = ("return_mean", "episodes", "episodes_unfinished")
    finals = [{name: result["metrics"][f"{split}/{name}"] for name in names} for result in results]
    return summarize_seeds(finals, experiment.seed)


def _combine(
    experiment: ReinforcementLearning,
    results: Mapping[int, Mapping[str, Any]],
    across: Mapping[str, Value],
) -> dict[str, Any]:
    """Combines results: sums of seconds, means of rates, statistics of returns."""
    each = list(results.values())
    return {
        "status": "finished",
        "task": experiment.task,
        "step": max(result["step"] for result in each),
        "metrics": {f"{record_split(experiment)}/{name}": value for name, value in across.items()},
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

"""An experiment with agents: one run, or one run per seed and statistics across them."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.config.rl import ReinforcementLearning
from trainer.engine import distribution, multi_seed, runner, seed_folders
from trainer.engine.distribution_config import DistributionConfig
from trainer.io.records import Value
from trainer.rl import training
from trainer.rl.evaluate import summarize_seeds
from trainer.rl.loading import Trained, evaluate_checkpoints, load


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
    seed_folders.check_layout(experiment, path)
    runtime = create_runtime(distribution_config)
    runner.announce(runtime)

    def train_one(
        run: ReinforcementLearning,
        directory: str,
        own_session: runner.Session,
        prepare: Callable[[], None],
    ) -> Mapping[str, Any] | None:
        return training.train(run, directory, runtime, own_session, prepare)

    with runner.watching_workers(runtime):
        return multi_seed.train(
            experiment, path, runtime, session, train_one, _across_seeds(experiment)
        )


def write_result(experiment: ReinforcementLearning, path: str) -> Mapping[str, Any]:
    """Writes result.json across seeds whose runs are finished, and returns its content."""
    return multi_seed.write_result(experiment, path, _across_seeds(experiment))


def _across_seeds(
    experiment: ReinforcementLearning,
) -> Callable[[Sequence[Mapping[str, Value]]], Mapping[str, Value]]:
    return functools.partial(summarize_seeds, seed=experiment.seed)


def evaluate(
    experiment: ReinforcementLearning,
    path: str,
    split: str,
    distribution_config: DistributionConfig,
    episodes: int = 0,
) -> Mapping[str, Any]:
    """Evaluates each run's selected checkpoint on greedy episodes of a split; 0: as configured.

    Beside the best checkpoint also the last one, as `last_…`.

    Raises:
      UserError: if there is no such split, or no checkpoint.
    """
    agents = load_each(experiment, path, distribution_config)
    steps = [trained.step for trained in agents]
    metrics = [
        evaluate_checkpoints(
            trained.experiment,
            directory,
            trained.agent,
            trained.found,
            functools.partial(trained.evaluator.evaluate_split, split, episodes),
        )
        for trained, (_, directory) in zip(agents, seed_folders.runs(experiment, path), strict=True)
    ]
    if experiment.seeds == 1:
        return {"split": split, "step": steps[0], "metrics": dict(metrics[0])}
    across = summarize_seeds(metrics, experiment.seed)
    return {"split": split, "step": steps, "metrics": dict(across)}


def load_each(
    experiment: ReinforcementLearning, path: str, distribution_config: DistributionConfig
) -> list[Trained]:
    """The trained agent of each of the experiment's runs."""
    runtime = create_runtime(distribution_config)
    return [load(run, directory, runtime) for run, directory in seed_folders.runs(experiment, path)]


def create_runtime(distribution_config: DistributionConfig) -> distribution.Runtime:
    """The runtime for a configuration; agents compute in float32 unless asked otherwise."""
    if distribution_config.precision == "auto":
        # Bootstrapped targets accumulate rounding errors.
        distribution_config = dataclasses.replace(distribution_config, precision="float32")
    return distribution.create(distribution_config)

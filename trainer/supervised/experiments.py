"""A supervised experiment: one run, or one run per seed and statistics across them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.config.supervised import Supervised
from trainer.engine import distribution, multi_seed, runner, seed_folders
from trainer.engine.distribution_config import DistributionConfig
from trainer.supervised import run_data, training
from trainer.supervised.evaluate import Evaluated
from trainer.supervised.evaluate import evaluate as evaluate_run
from trainer.supervised.gradients import can_be_halved


def train(
    experiment: Supervised,
    path: str,
    distribution_config: DistributionConfig,
    data_dir: str,
    session: runner.Session,
    accept_changed_data: bool = False,
) -> Mapping[str, Any] | None:
    """Trains, or resumes, every run of the experiment; returns the content of result.json.

    Resuming with data that have changed is refused unless `accept_changed_data`.

    Returns:
      The content of result.json; None on a worker that is not the chief.

    Raises:
      UserError: if data, model or strategy do not fit; nothing has been written then.
      Interrupted: when a stop was requested; the state is saved.
    """
    seed_folders.check_layout(experiment, path)
    runtime = distribution.create(distribution_config, can_be_halved(experiment))
    runner.announce(runtime)

    def train_one(
        run: Supervised,
        directory: str,
        own_session: runner.Session,
        prepare: Callable[[], None],
    ) -> Mapping[str, Any] | None:
        return training.train(
            run, directory, runtime, data_dir, own_session, accept_changed_data, prepare
        )

    with runner.watching_workers(runtime):
        return multi_seed.train(
            experiment, path, runtime, session, train_one, multi_seed.mean_and_interval
        )


def write_result(
    experiment: Supervised, path: str, accept_changed_data: bool = False
) -> Mapping[str, Any]:
    """Writes result.json across seeds whose runs are finished, and returns its content.

    Raises:
      UserError: if the runs had different data and that is not accepted.
    """
    directories = [directory for _, directory in seed_folders.runs(experiment, path)]
    if not accept_changed_data:
        run_data.check_same(directories)
    return multi_seed.write_result(experiment, path, multi_seed.mean_and_interval)


def evaluate(
    experiment: Supervised,
    path: str,
    split: str,
    distribution_config: DistributionConfig,
    data_dir: str,
    is_other_data: bool = False,
) -> list[Evaluated]:
    """Evaluates each run's selected checkpoint on a split, or on all examples of other data.

    Raises:
      UserError: if there is no such split, no checkpoint, the data are gone, or the network
        cannot use them.
    """
    runtime = distribution.create(distribution_config, can_be_halved(experiment))
    return [
        evaluate_run(run, directory, split, runtime, data_dir, is_other_data)
        for run, directory in seed_folders.runs(experiment, path)
    ]


def summarize(evaluated: Sequence[Evaluated], split: str) -> Mapping[str, Any]:
    """The JSON of an evaluation: of one run with intervals, or of several seeds across them.

    The interval of several seeds is that of the runs, as in result.json.
    """
    if len(evaluated) == 1:
        (one,) = evaluated
        return {
            "split": split,
            "step": one.step,
            "metrics": dict(one.metrics),
            "ci95": {name: list(interval) for name, interval in one.intervals.items()},
        }
    summary = multi_seed.mean_and_interval([each.metrics for each in evaluated])
    return {"split": split, "step": [each.step for each in evaluated], "metrics": summary}

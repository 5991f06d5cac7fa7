"""The runs of an experiment of several seeds, each in a folder of its own."""

import dataclasses
import os
from typing import TypeVar

from trainer.config.loading import Experiment
from trainer.engine.workdir import WorkDirectory, load_experiment
from trainer.errors import UserError
from trainer.io.paths import to_path

AnyExperiment = TypeVar("AnyExperiment", bound=Experiment)


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
    if not to_path(WorkDirectory(path).config).exists():
        return
    held = load_experiment(path)
    if (held.seeds == 1) != (experiment.seeds == 1):
        raise UserError(
            "seeds can be raised only from two or more; use another --workdir than "
            f"{path!r}, which has seeds={held.seeds}. Received: {experiment.seeds}"
        )

"""A work directory: the paths of a run, and whether an experiment may use the directory.

A path may be local or remote, for example `gs://bucket/run`.
"""

import dataclasses
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.config import loading
from trainer.config.inspection import differences, leaves
from trainer.errors import UserError
from trainer.io.files import read_json, read_text, write_text
from trainer.io.paths import check_bucket, is_remote, nearest_existing, to_path

# The only fields that may change, upwards, when a run is resumed.
_MAY_GROW = ("train.steps", "train.epochs", "seeds")
_SEED_FOLDER = re.compile(r"seed_\d+")


@dataclasses.dataclass(frozen=True)
class WorkDirectory:
    """The paths of one run."""

    path: str

    @property
    def config(self) -> str:
        """The resolved configuration."""
        return os.path.join(self.path, "config.json")

    @property
    def signature(self) -> str:
        """The data that the run began with: shapes, classes, normalization, digests."""
        return os.path.join(self.path, "signature.json")

    @property
    def skipped(self) -> str:
        """Broken inputs that were left out, one JSON object per line; absent without any."""
        return os.path.join(self.path, "skipped.jsonl")

    @property
    def metrics(self) -> str:
        """One JSON object per report; see `trainer.io.records`."""
        return os.path.join(self.path, "metrics.jsonl")

    @property
    def result(self) -> str:
        """Written once, when the run has finished."""
        return os.path.join(self.path, "result.json")

    @property
    def lock(self) -> str:
        """Held while a process writes the directory; see `trainer.engine.lock`."""
        return os.path.join(self.path, ".lock")

    @property
    def token(self) -> str:
        """Written by the chief of several workers, so that the others can check what they see."""
        return os.path.join(self.path, ".token")

    @property
    def checkpoints(self) -> str:
        """The folder of checkpoints."""
        return os.path.join(self.path, "checkpoints")

    @property
    def tensorboard(self) -> str:
        """The folder of event files."""
        return os.path.join(self.path, "tensorboard")


def check_usable(path: str, experiment: loading.Experiment) -> None:
    """Checks that a work directory can be used for an experiment. Creates nothing.

    Raises:
      UserError: if the directory is not writable, contains something else, or belongs to an
        experiment that is longer or differs in more than its length.
    """
    if not path:
        raise UserError("--workdir=DIR is required: the directory where the run is stored")
    _check_writable(path)
    if to_path(WorkDirectory(path).config).exists():
        held = load_experiment(path)
        fields = [
            difference
            for difference in differences(held, experiment)
            if not difference.startswith(_MAY_GROW)
        ]
        if fields:
            raise UserError(
                f"--workdir={path} contains a run with a different configuration "
                f"({'; '.join(fields)}); choose another directory or use the same configuration"
            )
        check_not_shorter(path, _lengths(held), _lengths(experiment))
    elif to_path(path).exists() and not all(
        _is_ours(file, experiment) for file in to_path(path).iterdir()
    ):
        raise UserError(
            f"--workdir={path} is not empty and contains no config.json, so it is not a run of "
            "trainer; choose another directory"
        )


def check_not_shorter(path: str, old: Mapping[str, float], new: Mapping[str, float]) -> None:
    """Checks that no length of a run shrinks; its result would be that of a longer run.

    Args:
      path: the work directory.
      old: the lengths that the run has, by name.
      new: the lengths asked for; 0 stands for another unit, which is not compared.

    Raises:
      UserError: with what is shorter.
    """
    shorter = [f"{name}: {old[name]} → {new[name]}" for name in old if 0 < new[name] < old[name]]
    if shorter:
        raise UserError(
            f"the run in --workdir={path} can only be extended ({'; '.join(shorter)}); choose "
            "another directory, or train for at least as long"
        )


def _lengths(experiment: loading.Experiment) -> dict[str, float]:
    return {leaf.path: leaf.value for leaf in leaves(experiment) if leaf.path in _MAY_GROW}


def _is_ours(file: Path, experiment: loading.Experiment) -> bool:
    """Whether a run that was killed before its config.json was written can have left a file."""
    workdir = WorkDirectory("")
    if experiment.seeds > 1 and _SEED_FOLDER.fullmatch(file.name):
        return True
    return file.name in (workdir.lock, workdir.token) or file.suffix == ".tmp"


def _check_writable(path: str) -> None:
    if is_remote(path):
        check_bucket(path)
        return
    existing = nearest_existing(path)
    if not os.path.isdir(existing):
        raise UserError(f"--workdir={path}: {existing} is a file, not a directory")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(
            f"--workdir={path}: {existing} is not writable; choose another directory or change "
            "its permissions"
        )


def load_experiment(path: str) -> loading.Experiment:
    """Loads the experiment of an existing run.

    Raises:
      UserError: if `path` is not the work directory of a run.
    """
    config = WorkDirectory(path).config
    if not path or not to_path(config).exists():
        raise UserError(f"--workdir={path} is not a work directory: it contains no config.json")
    return read_experiment(config)


def read_experiment(config: str) -> loading.Experiment:
    """Loads the experiment of a config.json.

    Raises:
      UserError: if the file is missing or is not a valid configuration.
    """
    if is_remote(config):
        check_bucket(config)
    if not to_path(config).exists():
        raise UserError(f"configuration file not found: {config}")
    return loading.from_json(read_text(config), config)


def record_experiment(path: str, experiment: loading.Experiment) -> None:
    """Writes the config.json of an experiment that is not finished, and removes its result."""
    workdir = WorkDirectory(path)
    # First, since a result beside the configuration of a longer run would finish that.
    to_path(workdir.result).unlink(missing_ok=True)
    write_text(workdir.config, loading.to_json(experiment))


def finished_result(path: str, experiment: loading.Experiment) -> Mapping[str, Any] | None:
    """The result of a finished run of exactly this experiment; None if there is none."""
    workdir = WorkDirectory(path)
    if not to_path(workdir.result).exists():
        return None
    if differences(load_experiment(path), experiment):
        return None
    result: Mapping[str, Any] = read_json(workdir.result)
    return result


def announce_finished(result: Mapping[str, Any]) -> None:
    """Says that a run is finished, and how to continue it."""
    print(
        f"this run is finished at step {result['step']}; raise train.steps or train.epochs to "
        "continue it",
        file=sys.stderr,
    )

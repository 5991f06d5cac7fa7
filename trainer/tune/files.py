"""Where a search keeps what, and how it is written so that a kill loses nothing.

The directory is local, mounted or in a bucket: every host of a search sees it under the same
path. A path is pathlib's, or etils' for a bucket, which has the same methods.
"""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

from etils import epath

from trainer.config import loading


@dataclasses.dataclass(frozen=True)
class Layout:
    """The paths of a search."""

    root: Path

    @classmethod
    def of(cls, workdir: str) -> "Layout":
        """That of a directory on this machine, or of `gs://…`."""
        return cls(epath.Path(workdir) if "://" in workdir else Path(workdir).absolute())

    @property
    def is_remote(self) -> bool:
        """Whether it is in a bucket."""
        return is_remote(self.root)

    @property
    def shown(self) -> str:
        """The directory as a user here would type it."""
        return str(self.root) if self.is_remote else os.path.relpath(self.root)

    @property
    def state(self) -> Path:
        """What the search is, every trial, and all the oracle knows."""
        return self.root / "search.json"

    @property
    def lock(self) -> Path:
        """Held by the searching process and by the trials it started."""
        return self.root / ".lock"

    @property
    def best(self) -> Path:
        """The best trial's configuration."""
        return self.root / "best" / "config.json"

    @property
    def report(self) -> Path:
        """The table and the pictures."""
        return self.root / "report.html"

    def trial(self, trial_id: str) -> Path:
        """The directory of a trial."""
        return self.root / "trials" / trial_id

    def config(self, trial_id: str) -> Path:
        """The configuration of a trial."""
        return self.trial(trial_id) / "config.json"

    def source(self, trial_id: str) -> Path:
        """Holds the id of the trial whose checkpoints this one goes on from, if any."""
        return self.trial(trial_id) / "continues"

    def outcome(self, trial_id: str) -> Path:
        """How a trial ended: written by whoever ran it."""
        return self.trial(trial_id) / "trial.json"

    def workdir(self, trial_id: str, execution: int) -> Path:
        """The work directory of one of a trial's trainings."""
        return self.trial(trial_id) / f"seed_{execution}"

    def log(self, trial_id: str, execution: int) -> Path:
        """What that training printed."""
        return self.trial(trial_id) / f"seed_{execution}.log"


def write_json(path: Path, value: Any) -> None:
    """Writes JSON so that a reader sees all of it or what was there before."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes text so that a reader sees all of it or what was there before."""
    if is_remote(path):
        # An object store shows an object only once it is complete.
        path.write_text(text)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_experiment(path: Path) -> loading.Experiment:
    """The experiment of a config.json."""
    return loading.from_json(path.read_text(), str(path))


def continue_from(source: Path, target: Path) -> None:
    """Makes `target` a work directory that goes on from the checkpoints of `source`.

    Checkpoints are never changed once written, so they are shared by hard links where the
    file system has them. The event files are made anew from metrics.jsonl on resuming. The
    configuration comes last: without it a copy that was cut short is made again.
    """
    if (target / "config.json").exists():
        return
    _copy_tree(source / "checkpoints", target / "checkpoints")
    for name in ("metrics.jsonl", "config.json"):
        write_text(target / name, (source / name).read_text())


def is_remote(path: Path) -> bool:
    """Whether a path is in a bucket."""
    return "://" in str(path)


def _copy_tree(source: Path, target: Path) -> None:
    for path in source.iterdir():
        if path.is_dir():
            _copy_tree(path, target / path.name)
        else:
            _copy(path, target / path.name)


def _copy(source: Path, target: Path) -> None:
    if is_remote(source):
        epath.Path(source).copy(target, overwrite=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

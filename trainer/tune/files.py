"""Where a search keeps what, and how it is written so that a kill loses nothing.

The directory is local or mounted: every host of a search sees it under the same path.
"""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Layout:
    """The paths of a search."""

    root: Path

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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def continue_from(source: Path, target: Path) -> None:
    """Makes `target` a work directory that goes on from the checkpoints of `source`.

    Checkpoints are never changed once written, so they are shared by hard links where the
    file system has them. The event files are made anew from metrics.jsonl on resuming. The
    configuration comes last: without it a copy that was cut short is made again.
    """
    if (target / "config.json").exists():
        return
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source / "checkpoints", target / "checkpoints", copy_function=_link)
    shutil.copy2(source / "metrics.jsonl", target / "metrics.jsonl")
    write_text(target / "config.json", (source / "config.json").read_text())


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

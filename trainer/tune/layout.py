"""The directory of a search, and access to its files.

The directory is local, mounted or in a bucket; all hosts of a search see it under the same path.
Paths are `pathlib.Path`, or `etils.epath.Path` for a bucket, which has the same methods.
"""

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from trainer.config import loading
from trainer.io.files import write_text
from trainer.io.paths import is_remote, to_path


@dataclasses.dataclass(frozen=True)
class Layout:
    """The paths of the files of a search."""

    root: Path

    @classmethod
    def of(cls, workdir: str) -> "Layout":
        """Returns the layout of a local directory or of `gs://…`."""
        return cls(to_path(workdir) if is_remote(workdir) else Path(workdir).absolute())

    @property
    def is_remote(self) -> bool:
        """True if the directory is in a bucket."""
        return is_remote(self.root)

    @property
    def shown(self) -> str:
        """The directory as a user would type it here."""
        return str(self.root) if self.is_remote else os.path.relpath(self.root)

    @property
    def state(self) -> Path:
        """The search, its trials and the state of the oracle."""
        return self.root / "search.json"

    @property
    def lock(self) -> Path:
        """The lock held by the searching process and by its trials."""
        return self.root / ".lock"

    @property
    def best(self) -> Path:
        """The configuration of the best trial."""
        return self.root / "best" / "config.json"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.root / "report.html"

    def trial(self, trial_id: str) -> Path:
        """Returns the directory of a trial."""
        return self.root / "trials" / trial_id

    def config(self, trial_id: str) -> Path:
        """Returns the path of the configuration of a trial."""
        return self.trial(trial_id) / "config.json"

    def parent(self, trial_id: str) -> Path:
        """Returns the path of the file with the id of the trial that this one resumes, if any."""
        return self.trial(trial_id) / "parent"

    def fence(self, trial_id: str) -> Path:
        """Returns the path of the file that names the worker that may write; see `io.fence`."""
        return self.trial(trial_id) / "worker"

    def outcome(self, trial_id: str) -> Path:
        """Returns the path of the outcome of a trial, written by its worker."""
        return self.trial(trial_id) / "trial.json"

    def workdir(self, trial_id: str, execution: int) -> Path:
        """Returns the work directory of one training run of a trial."""
        return self.trial(trial_id) / f"seed_{execution}"

    def log(self, trial_id: str, execution: int) -> Path:
        """Returns the path of the output of that training run."""
        return self.trial(trial_id) / f"seed_{execution}.log"


def read_experiment(path: Path) -> loading.Experiment:
    """Returns the experiment of a config.json."""
    return loading.from_json(path.read_text(), str(path))


def continue_from(source: Path, target: Path, check: Callable[[], None]) -> None:
    """Makes `target` a work directory that resumes from the checkpoints of `source`.

    Checkpoints do not change once written, so they are hard-linked if the file system allows
    it. Event files are rebuilt from metrics.jsonl when the run resumes. The configuration is
    copied last, so that an incomplete copy is repeated. `check` is called before each file.
    """
    if (target / "config.json").exists():
        return
    _copy_tree(source / "checkpoints", target / "checkpoints", check)
    for name in ("metrics.jsonl", "config.json"):
        check()
        write_text(target / name, (source / name).read_text())


def _copy_tree(source: Path, target: Path, check: Callable[[], None]) -> None:
    for path in source.iterdir():
        if path.is_dir():
            _copy_tree(path, target / path.name, check)
        else:
            check()
            _copy(path, target / path.name)


def _copy(source: Path, target: Path) -> None:
    if is_remote(source):
        source.copy(target, overwrite=True)  # type: ignore[attr-defined]  # of etils.epath
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

"""Builds the plan of a submission and checks it before anything is created."""

import dataclasses
import re
from pathlib import Path

from trainer.cloud.job import Job, make_name
from trainer.cloud.plan import Plan
from trainer.cloud.settings import Settings
from trainer.cloud.target import Context, Target
from trainer.config import loading
from trainer.config.data import TFDS
from trainer.engine import distribution_config
from trainer.errors import UserError

# A user who sets one of these flags chooses the strategy; --precision and --jit do not count.
_STRATEGY_FLAGS = tuple(
    f"--{flag.name}="
    for flag in distribution_config.flags()
    if flag.name not in ("precision", "jit")
)


@dataclasses.dataclass(frozen=True)
class Submission:
    """What the user asked for.

    Attributes:
      target: where to run the job.
      settings: of that target.
      command: train or tune.
      experiment: the experiment of `--config` and its overrides.
      files: flags that name local files, `config` first, with their paths.
      arguments: overrides and the command's other flags, as given.
      workdir: as given; if empty, it is derived from the bucket.
      data_dir: as given.
      max_hours: time limit of the submission.
    """

    target: Target
    settings: Settings
    command: str
    experiment: loading.Experiment
    files: tuple[tuple[str, str], ...]
    arguments: tuple[str, ...]
    workdir: str
    data_dir: str
    max_hours: float

    def plan(self, folder: str) -> Plan:
        """Builds the plan.

        Args:
          folder: a directory for files on their way to a machine.

        Raises:
          UserError: if something is missing, or the job cannot run on the target.
        """
        for flag, path in self.files:
            if not Path(path).is_file():
                raise UserError(f"--{flag}={path}: no such file")
        job = self._job()
        if self.target.bucket_scheme:
            self._check_paths(job.workdir, self.target.bucket_scheme)
        for name in self.target.required:
            if not getattr(self.settings, name):
                name = name.removeprefix("vertex_")
                raise UserError(
                    f"--target={self.target.name} needs {name}: set it with --{name}=… or in "
                    "cloud.toml"
                )
        context = Context(folder, self.max_hours, self._data())
        return self.target.plan(job, self.settings, context)

    def _job(self) -> Job:
        identity = repr((self.command, self.arguments, self.workdir, self.experiment))
        name = make_name(Path(self.files[0][1]).stem, identity)
        if not self.workdir and not self.settings.bucket:
            raise UserError(
                "no place for the results: set --workdir=gs://BUCKET/FOLDER, or bucket=… to "
                "derive a folder"
            )
        return Job(
            command=self.command,
            task=self.experiment.task,
            files=self.files,
            arguments=self.arguments,
            workdir=self.workdir or f"gs://{self.settings.bucket}/{name}",
            strategy_given=any(text.startswith(_STRATEGY_FLAGS) for text in self.arguments),
            name=name,
        )

    def _data(self) -> tuple[str, ...]:
        paths = (self.data_dir, getattr(getattr(self.experiment, "data", None), "path", ""))
        return tuple(path for path in paths if path)

    def _check_paths(self, workdir: str, scheme: str) -> None:
        in_bucket = re.compile(f"{scheme}[^/]")
        target = f"--target={self.target.name}"
        if not in_bucket.match(workdir):
            raise UserError(
                f"{target} needs a work directory in a bucket, --workdir={scheme}…, because the "
                f"machine is deleted. Received: {workdir!r}"
            )
        for path in self._data():
            if not in_bucket.match(path):
                raise UserError(
                    f"{target} reads data from a bucket: copy it to {scheme}… and use that path. "
                    f"Received: {path!r}"
                )
        if isinstance(getattr(self.experiment, "data", None), TFDS) and not self.data_dir:
            raise UserError(
                f"{target} needs --data_dir={scheme}… with the prepared TensorFlow Datasets"
            )

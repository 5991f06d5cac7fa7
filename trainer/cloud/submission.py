"""From what the user asked for to a plan; whatever can be refused here costs nothing."""

import dataclasses
import os
import re
from pathlib import Path

from trainer.cloud import docker
from trainer.cloud.google import gpu_vm, tpu_vm, vertex
from trainer.cloud.job import Job, make_name
from trainer.cloud.plan import Plan
from trainer.cloud.settings import Settings
from trainer.config import loading
from trainer.config.data import TFDS
from trainer.errors import UserError

_IN_BUCKET = re.compile(r"gs://[^/]")
_PLACEMENT = ("--strategy=", "--tpu=", "--virtual_devices=")


@dataclasses.dataclass(frozen=True)
class Submission:
    """What was asked for.

    Attributes:
      target: where to run it.
      settings: of that target.
      command: train or tune.
      experiment: what `--config` and its overrides give.
      files: flags that name local files, `config` first, and the files.
      arguments: overrides and the command's other flags, as they were given.
      workdir: as given; empty: to be derived.
      data_dir: as given.
      max_hours: for the whole submission.
    """

    target: str
    settings: Settings
    command: str
    experiment: loading.Experiment
    files: tuple[tuple[str, str], ...]
    arguments: tuple[str, ...]
    workdir: str
    data_dir: str
    max_hours: float

    def plan(self, folder: str) -> Plan:
        """The commands.

        Args:
          folder: for files on the way to a machine.

        Raises:
          UserError: if something is missing, or cannot work there.
        """
        for flag, path in self.files:
            if not os.path.isfile(path):
                raise UserError(f"--{flag} names no file. Received: {path!r}")
        job = self._job()
        if self.target == "docker":
            return self._docker(job)
        self._check_cloud(job.workdir)
        if self.target == "tpu-vm":
            return tpu_vm.plan(job, self.settings, folder, self.max_hours)
        if self.target == "gpu-vm":
            return gpu_vm.plan(job, self.settings, folder, self.max_hours)
        return vertex.plan(job, self.settings, self.max_hours)

    def _job(self) -> Job:
        identity = repr((self.command, self.arguments, self.workdir, self.experiment))
        name = make_name(Path(self.files[0][1]).stem, identity)
        if not self.workdir and not self.settings.bucket:
            raise UserError(
                "--workdir=gs://BUCKET/FOLDER, or bucket=… to derive one, says where the results "
                "go. Received: neither"
            )
        return Job(
            command=self.command,
            files=self.files,
            arguments=self.arguments,
            workdir=self.workdir or f"gs://{self.settings.bucket}/{name}",
            strategy_given=any(text.startswith(_PLACEMENT) for text in self.arguments),
            name=name,
        )

    def _docker(self, job: Job) -> Plan:
        credentials = os.environ.get(
            "GOOGLE_APPLICATION_CREDENTIALS",
            os.path.expanduser("~/.config/gcloud/application_default_credentials.json"),
        )
        return docker.plan(
            job,
            self.settings,
            data=[path for path in self._data() if os.path.exists(path)],
            user=f"{os.getuid()}:{os.getgid()}",
            credentials=credentials if os.path.isfile(credentials) else "",
        )

    def _data(self) -> list[str]:
        paths = (self.data_dir, getattr(getattr(self.experiment, "data", None), "path", ""))
        return [path for path in paths if path]

    def _check_cloud(self, workdir: str) -> None:
        settings, target = self.settings, self.target
        if not _IN_BUCKET.match(workdir):
            raise UserError(
                f"--target={target} keeps its results in a bucket, --workdir=gs://…: the machine "
                f"does not stay. Received: {workdir!r}"
            )
        for path in self._data():
            if not _IN_BUCKET.match(path):
                raise UserError(
                    f"--target={target} reads data from a bucket: copy it to gs://… and name that. "
                    f"Received: {path!r}"
                )
        if isinstance(getattr(self.experiment, "data", None), TFDS) and not self.data_dir:
            raise UserError(
                f"--target={target} needs --data_dir=gs://…, where the prepared TensorFlow "
                "Datasets lie. Received: no --data_dir"
            )
        needed = ["accelerator"]
        needed += ["image", "bucket", "vertex_region"] if target == "vertex" else ["zone"]
        for name in needed:
            if not getattr(settings, name):
                name = name.removeprefix("vertex_")
                raise UserError(
                    f"--target={target} needs {name}, as --{name}=… or in cloud.toml. "
                    f"Received: {name}=''"
                )
        if settings.hosts > 1 and target == "tpu-vm":
            raise UserError(
                "a TPU's type says how many hosts it has; leave hosts out. "
                f"Received: hosts={settings.hosts}"
            )
        together = settings.hosts > 1 and self.command == "train"
        if self.experiment.task == "rl" and (target == "tpu-vm" or together):
            raise UserError(
                "agents train on one host, with GPUs or none: take --target=gpu-vm or vertex with "
                f"hosts=1. Received: --target={target}, hosts={settings.hosts}"
            )

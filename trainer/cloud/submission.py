"""From what the user asked for to a job, checked before anything is created."""

import dataclasses
import re
import secrets
from pathlib import Path

import trainer
from trainer.cloud import code
from trainer.cloud.commands import Command
from trainer.cloud.job import Job, local_root, make_name, remote_path
from trainer.cloud.records import JobRecord
from trainer.cloud.settings import Settings
from trainer.cloud.target import Context, LocalPlan, Machines, Target
from trainer.config import loading
from trainer.config.data import TFDS
from trainer.config.inspection import leaves
from trainer.engine import distribution_config
from trainer.errors import UserError

# A user who sets one of these flags chooses the strategy; --precision and --jit do not count.
_STRATEGY_FLAGS = tuple(
    f"--{flag.name}="
    for flag in distribution_config.flags()
    if flag.name not in ("precision", "jit")
)
# What a machine needs to install the package.
_SOURCES = ("setup.py", "pyproject.toml", "requirements", "trainer")
# A value such as my_package.envs:Maze names a module of the user.
_OF_MODULE = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*):[\w.-]+")


@dataclasses.dataclass(frozen=True)
class Limits:
    """When to give up; see `JobRecord`."""

    max_restarts: int
    max_hours: float
    max_cost: float
    keep: bool


@dataclasses.dataclass(frozen=True)
class Submission:
    """What the user asked for.

    Attributes:
      target: where to run the job.
      settings: of that target.
      command: train or tune.
      experiment: the experiment of `--config` and its overrides.
      config: the value of `--config`.
      files: flags that name local files, with their paths; `config` too unless it is remote.
      arguments: overrides and the command's other flags, as given.
      workdir: as given; if empty, it is derived from the bucket.
      data_dir: as given.
    """

    target: Target
    settings: Settings
    command: str
    experiment: loading.Experiment
    config: str
    files: tuple[tuple[str, str], ...]
    arguments: tuple[str, ...]
    workdir: str
    data_dir: str

    def check(self) -> Job:
        """The job.

        Raises:
          UserError: if something is missing, or the job cannot run on the target.
        """
        for flag, path in self.files:
            if not Path(path).is_file():
                raise UserError(f"--{flag}={path}: no such file")
        for name in self.target.required:
            if not getattr(self.settings, name):
                raise UserError(
                    f"--target={self.target.name} needs {name}: set it with --{name}=… or in "
                    "cloud.toml"
                )
        job = self._job()
        if self.target.bucket_scheme:
            self._check_paths(job.workdir, self.target.bucket_scheme)
        return job

    def local_plan(self, max_hours: float, max_restarts: int) -> LocalPlan:
        """The commands of a target that runs them on this computer.

        Raises:
          UserError: as `check`.
        """
        assert self.target.local is not None
        context = Context(self._data(), max_hours, max_restarts)
        return self.target.local(self.check(), self.settings, context)

    def machines(self) -> Machines:
        """How the target rents machines for this job.

        Raises:
          UserError: if the job cannot run there.
        """
        assert self.target.machines is not None
        return self.target.machines(self.experiment.task, self.command, self.settings)

    def record(self, job: Job, machines: Machines, limits: Limits, now: float) -> JobRecord:
        """The record of a new submission.

        Args:
          job: of `check`.
          machines: of `machines`.
          limits: when to give up.
          now: in seconds since 1970.
        """
        return JobRecord(
            id=f"{job.name}-{secrets.token_hex(2)}",
            target=self.target.name,
            settings=dataclasses.asdict(self.settings),
            digest=job.name.rpartition("-")[2],
            command=job.command,
            task=job.task,
            arguments=job.argv("", machines.strategy_flags),
            workdir=job.workdir,
            accelerator=machines.accelerator,
            image=getattr(self.settings, "image", ""),
            in_container=machines.in_container,
            created=now,
            max_hours=limits.max_hours,
            max_restarts=limits.max_restarts,
            max_cost=limits.max_cost,
            keep=limits.keep,
        )

    def archive(self, path: str) -> Command:
        """Packs the job's files, and the package unless an image contains it, into a tar file.

        Raises:
          UserError: if the package was not installed from a checkout, so that it cannot be sent.
        """
        argv = ["tar", "-czf", path, "--exclude=__pycache__"]
        if not getattr(self.settings, "image", ""):
            root = Path(trainer.__file__).parent.parent
            if not (root / "setup.py").is_file():
                raise UserError(
                    f"{root} is not a checkout of the project, so its code cannot be sent; set "
                    "image=… instead"
                )
            argv += ["-C", str(root), *_SOURCES]
        for file in self._files_to_send():
            argv += ["-C", local_root(file), remote_path(file)]
        # tar refuses to make an empty archive.
        return Command(tuple(argv) if "-C" in argv else (*argv, "--files-from=/dev/null"))

    def _files_to_send(self) -> list[str]:
        files = [path for _, path in self.files]
        modules = [
            match[1]
            for leaf in leaves(self.experiment)
            if isinstance(leaf.value, str) and (match := _OF_MODULE.fullmatch(leaf.value))
        ]
        return [*files, *code.local_files(files, modules, str(Path.cwd()))]

    def _job(self) -> Job:
        identity = repr((self.command, self.arguments, self.workdir, self.experiment))
        name = make_name(Path(self.config).stem, identity)
        return Job(
            command=self.command,
            task=self.experiment.task,
            files=self.files,
            arguments=self.arguments,
            workdir=self._workdir(name),
            strategy_given=any(text.startswith(_STRATEGY_FLAGS) for text in self.arguments),
            name=name,
        )

    def _workdir(self, name: str) -> str:
        if self.workdir:
            return self.workdir.rstrip("/")
        if self.target.default_workdir is not None:
            return self.target.default_workdir(name)
        if not self.settings.bucket:
            raise UserError(
                "no place for the results: set --workdir=gs://BUCKET/FOLDER, or bucket=… to "
                "derive a folder"
            )
        return f"gs://{self.settings.bucket}/{name}"

    def _data(self) -> tuple[str, ...]:
        data = getattr(self.experiment, "data", None)
        paths = (self.data_dir, getattr(data, "path", ""), getattr(data, "test_path", ""))
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

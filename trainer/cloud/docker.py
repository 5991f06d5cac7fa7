"""`--target=docker`: runs the image on this machine."""

import dataclasses
import os
import re

from trainer.cloud.commands import Command
from trainer.cloud.job import Job
from trainer.cloud.settings import Settings
from trainer.cloud.target import Context, LocalPlan, Target
from trainer.config.fields import field
from trainer.errors import UserError
from trainer.io.paths import is_remote

# Exit statuses of docker itself when it cannot start the job: no such image, name or GPU.
_NOT_STARTED = (125, 126, 127)
# Seconds that a job has to save its state.
_STOP_TIMEOUT = 120
# Docker's default of 64 MB is too little for several GPUs.
_SHARED_MEMORY = "1g"


@dataclasses.dataclass(frozen=True)
class DockerSettings(Settings):
    """Settings of a local container."""

    image: str = field("trainer", "Container image to run.", non_empty=True)
    gpus: str = field("", "Value of docker's --gpus, for example all; empty: no GPUs.")
    user: str = field(
        "", "User of the container, UID:GID; empty: you. Rootless docker and podman need 0:0."
    )

    def validate(self) -> None:
        """Refuses names, which the container does not know."""
        super().validate()
        if self.user and not re.fullmatch("[0-9]+:[0-9]+", self.user):
            raise UserError(
                f"user must be numbers, UID:GID, for example 1000:1000. Received: {self.user!r}"
            )


def default_workdir(job_name: str) -> str:
    """The work directory of a job without `--workdir`: a folder on this machine."""
    return os.path.join("runs", job_name)


def plan(job: Job, settings: DockerSettings, context: Context) -> LocalPlan:
    """One container. Work directory, data and files have the same paths inside and outside."""
    is_local = not is_remote(job.workdir)
    workdir = os.path.abspath(job.workdir)
    data = (path for path in context.data if os.path.exists(path))
    read = [os.path.abspath(path) for path in (*(path for _, path in job.files), *data)]
    argv = [
        "docker", "run", "--rm", "--init", f"--name={job.name}", f"--workdir={os.getcwd()}",
        # The image's check is about /runs, which this job does not use.
        "--no-healthcheck", f"--shm-size={_SHARED_MEMORY}", *_user(settings.user),
        # Without a TPU, libtpu would wait for the metadata server.
        "--env=TPU_SKIP_MDS_QUERY=1",
        *([f"--gpus={settings.gpus}"] if settings.gpus else []),
        *([_volume(workdir, "rw")] if is_local else []),
        *(_volume(path, "ro") for path in read),
    ]  # fmt: skip
    credentials = _credentials()
    if not is_local and credentials:
        argv += [_volume(credentials, "ro"), f"--env=GOOGLE_APPLICATION_CREDENTIALS={credentials}"]
    argv += [settings.image, job.command]
    argv += [f"--{flag}={path}" for flag, path in job.files]
    argv += [*job.arguments, f"--workdir={job.workdir}"]
    return LocalPlan(
        prepare=(
            # Fails with the reason if no daemon can be reached.
            Command(("docker", "version", "--format={{.Server.Version}}")),
            # docker would create a missing folder as root.
            *([Command(("mkdir", "-p", workdir))] if is_local else []),
        ),
        run=Command(tuple(argv)),
        stop=(Command(("docker", "stop", "-t", str(_STOP_TIMEOUT), job.name)),),
        not_started=_NOT_STARTED,
        results=job.workdir,
    )


TARGET = Target(
    name="docker",
    program="docker",
    settings=DockerSettings,
    local=plan,
    default_workdir=default_workdir,
)


def _credentials() -> str:
    """The file with credentials for Google Cloud Storage; empty if there is none."""
    path = os.environ.get(
        "GOOGLE_APPLICATION_CREDENTIALS",
        os.path.expanduser("~/.config/gcloud/application_default_credentials.json"),
    )
    return path if os.path.isfile(path) else ""


def _user(given: str) -> tuple[str, ...]:
    """What the job writes must belong to the user.

    The image has no entry for the user, so programs look for name and home in variables.
    """
    user = given or f"{os.getuid()}:{os.getgid()}"
    return (f"--user={user}", "--env=HOME=/tmp", f"--env=USER={os.environ.get('USER', 'trainer')}")


def _volume(path: str, mode: str) -> str:
    return f"--volume={path}:{path}:{mode}"

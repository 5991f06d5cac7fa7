"""`--target=docker`: the image on this machine."""

import os
from collections.abc import Sequence

from trainer.cloud.job import Job
from trainer.cloud.plan import Command, End, Plan
from trainer.cloud.settings import Settings
from trainer.errors import EXIT_INTERRUPTED, EXIT_USER_ERROR

# What docker itself exits with when it cannot start the job: no such image, name or GPU.
_NOT_STARTED = (125, 126, 127)
# Seconds that a job has to save its state.
_STOP_SECONDS = 120


def plan(job: Job, settings: Settings, data: Sequence[str], user: str, credentials: str) -> Plan:
    """One container, in which the work directory, data and files lie where they lie here.

    Args:
      job: its workdir is a local path, or gs://….
      settings: image and gpus.
      data: local paths that the job reads.
      user: UID:GID, so that what it writes is the user's.
      credentials: a file for Google Cloud Storage; empty if there is none.
    """
    is_local = "://" not in job.workdir
    workdir = os.path.abspath(job.workdir)
    read = [os.path.abspath(path) for path in (*(path for _, path in job.files), *data)]
    argv = [
        "docker", "run", "--rm", f"--name={job.name}", f"--user={user}", f"--workdir={os.getcwd()}",
        *([f"--gpus={settings.gpus}"] if settings.gpus else []),
        *([_volume(workdir, "rw")] if is_local else []),
        *(_volume(path, "ro") for path in read),
    ]  # fmt: skip
    if not is_local and credentials:
        argv += [_volume(credentials, "ro"), f"--env=GOOGLE_APPLICATION_CREDENTIALS={credentials}"]
    argv += [settings.image or "trainer", job.command]
    argv += [f"--{flag}={path}" for flag, path in job.files]
    argv += [*job.arguments, f"--workdir={job.workdir}"]
    return Plan(
        name=job.name,
        prepare=(
            # Fails, and says why, where no daemon can be reached.
            Command(("docker", "version", "--format={{.Server.Version}}")),
            # docker would make a missing folder root's.
            *([Command(("mkdir", "-p", workdir))] if is_local else []),
        ),
        make=None,
        has_identifier=False,
        ready=None,
        stage=(),
        job=(Command(tuple(argv)),),
        end=None,
        state=None,
        judge=_judge,
        stop=(Command(("docker", "stop", "-t", str(_STOP_SECONDS), job.name)),),
        clear=(),
        delete=(),
        results=job.workdir,
    )


def _volume(path: str, mode: str) -> str:
    return f"--volume={path}:{path}:{mode}"


def _judge(statuses: Sequence[int], state: str) -> End:
    del state
    (status,) = statuses
    ends = {0: End.FINISHED, EXIT_USER_ERROR: End.REFUSED, EXIT_INTERRUPTED: End.CANCELLED}
    ends |= dict.fromkeys(_NOT_STARTED, End.REFUSED)
    return ends.get(status, End.FAILED)

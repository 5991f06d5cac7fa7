"""What TPU VMs and GPU VMs share: bringing code or an image there, running, stopping, judging.

On a machine everything lies in `~/NAME`. The job runs apart from the connection that started
it: a connection that breaks costs nothing, the same command joins the job again.
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import trainer
from trainer.cloud.job import Job, carried_from, carried_path
from trainer.cloud.plan import Command, End
from trainer.errors import EXIT_INTERRUPTED, EXIT_USER_ERROR, UserError

# What ssh itself exits with when the connection cannot be made or breaks.
CONNECTION_LOST = 255
# A machine that is gone is noticed after two minutes.
SSH_FLAGS = ("--ssh-flag=-oServerAliveInterval=30", "--ssh-flag=-oServerAliveCountMax=4")
_SOURCES = ("setup.py", "pyproject.toml", "requirements", "trainer")


def archive(job: Job, path: str, with_code: bool) -> Command:
    """Packs the job's files, and the package, into a tar file at `path`.

    Raises:
      UserError: if this package was installed without its setup.py, so that it cannot be sent.
    """
    argv = ["tar", "-czf", path, "--exclude=__pycache__"]
    if with_code:
        root = Path(trainer.__file__).parent.parent
        if not (root / "setup.py").is_file():
            raise UserError(
                "only a checkout of the project can send its code; set image=… instead. "
                f"Received: a package in {root}"
            )
        argv += ["-C", str(root), *_SOURCES]
    for _, file in job.files:
        argv += ["-C", carried_from(file), carried_path(file)]
    return Command(tuple(argv))


def unpack(name: str) -> str:
    """On the machine: makes `~/NAME` of the tar file in the home folder."""
    return f"mkdir -p {name} &&\ntar -xzf {name}.tar.gz -C {name}"


def install(name: str, accelerator: str) -> str:
    """On the machine: a virtual environment with the locked versions for a gpu or tpu."""
    apt = "sudo apt-get -qq -o DPkg::Lock::Timeout=300"
    pip = ".venv/bin/pip install --quiet --disable-pip-version-check --no-deps --use-pep517"
    steps = [
        f"cd {name}",
        f"{{ python3 -m venv .venv ||\n{{ {apt} update && {apt} install -y python3-venv &&\n"
        "python3 -m venv .venv; }; }",
        f"{pip} -r requirements/{accelerator}.txt",
        # setuptools is in the lock.
        f"{pip} --no-build-isolation .",
    ]
    return " &&\n".join(steps)


def pull(image: str) -> str:
    """On the machine: gets the image, from Artifact Registry with the machine's own rights."""
    registry = image.partition("/")[0]
    login = f"sudo gcloud auth configure-docker {shlex.quote(registry)} --quiet &&\n"
    is_google = registry.endswith((".pkg.dev", "gcr.io"))
    return f"{login if is_google else ''}sudo docker pull --quiet {shlex.quote(image)}"


def code_command(job: Job, placement: Sequence[str], environment: Sequence[str]) -> str:
    """The job from installed code, in `~/NAME`; `environment` has NAME=VALUE pairs."""
    argv = (".venv/bin/trainer", *job.argv("", placement))
    return shlex.join((*(["env", *environment] if environment else []), *argv))


def image_command(
    job: Job, image: str, device_flags: Sequence[str], placement: Sequence[str],
    environment: Sequence[str],
) -> str:  # fmt: skip
    """The job from an image, in `~/NAME`. It is root there: the devices are root's."""
    flags = [*device_flags, *(f"--env={variable}" for variable in environment)]
    return (
        f"sudo docker run --rm --name={job.name} --user=0:0 --network=host "
        f'--volume="$HOME/{job.name}:/job:ro" --workdir=/job '
        f"{shlex.join([*flags, image, *job.argv('', placement)])}"
    )


def run(name: str, command: str) -> str:
    """On the machine: starts the job unless it runs, shows its output, exits as it does."""
    background = f"{command}; echo $? > job.status"
    return (
        f"cd {name} || exit 1\n"
        # The log is there before anybody reads it: what runs in the background may be late.
        f"[ -e job.pid ] || {{ : > job.log\n"
        f"nohup sh -c {shlex.quote(background)} >> job.log 2>&1 < /dev/null &\n"
        "echo $! > job.pid; }\n"
        'tail -n +1 -f --pid="$(cat job.pid)" job.log\n'
        '[ -e job.status ] && exit "$(cat job.status)"\n'
        # Not the job ended but the view of it; or a restart of the machine ended the job.
        f'kill -0 "$(cat job.pid)" && exit {CONNECTION_LOST}\n'
        f"exit {EXIT_INTERRUPTED}"
    )


def stop(name: str, image: str) -> str:
    """On the machine: asks the job to save and end."""
    if image:
        return f"sudo docker stop -t 120 {name}"
    return f'pkill -TERM -P "$(cat {name}/job.pid)"'


def judge(statuses: Sequence[int], healthy: bool) -> End:
    """How a job of one or several hosts ended.

    Args:
      statuses: of the commands that ran it.
      healthy: whether all its machines still run.
    """
    if not any(statuses):
        return End.FINISHED
    if not healthy or EXIT_INTERRUPTED in statuses:
        return End.PREEMPTED
    if EXIT_USER_ERROR in statuses:
        return End.REFUSED
    return End.DISCONNECTED if CONNECTION_LOST in statuses else End.FAILED


def archive_path(folder: str, name: str) -> str:
    """Where the tar file lies on this machine."""
    return os.path.join(folder, f"{name}.tar.gz")

"""Shell scripts for TPU VMs and GPU VMs: install the code or the image, run and stop the job.

On a machine all files are in `~/NAME`. The job runs in the background, so that it survives a
broken connection; running the same command again reconnects to it.
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import trainer
from trainer.cloud.job import Job, local_root, remote_path
from trainer.cloud.plan import CONNECTION_LOST, Command, JobStatus
from trainer.errors import EXIT_INTERRUPTED, EXIT_USER_ERROR, UserError

# Detects after two minutes that a machine is gone.
SSH_FLAGS = ("--ssh-flag=-oServerAliveInterval=30", "--ssh-flag=-oServerAliveCountMax=4")
_SOURCES = ("setup.py", "pyproject.toml", "requirements", "trainer")


def archive(job: Job, path: str, with_code: bool) -> Command:
    """Packs the job's files, and optionally the package, into a tar file at `path`.

    Raises:
      UserError: if the package was not installed from a checkout, so that it cannot be sent.
    """
    argv = ["tar", "-czf", path, "--exclude=__pycache__"]
    if with_code:
        root = Path(trainer.__file__).parent.parent
        if not (root / "setup.py").is_file():
            raise UserError(
                f"{root} is not a checkout of the project, so its code cannot be sent; set "
                "image=… instead"
            )
        argv += ["-C", str(root), *_SOURCES]
    for _, file in job.files:
        argv += ["-C", local_root(file), remote_path(file)]
    return Command(tuple(argv))


def unpack(name: str) -> str:
    """On the machine: unpacks the tar file in the home folder to `~/NAME`."""
    return f"mkdir -p {name} &&\ntar -xzf {name}.tar.gz -C {name}"


def install(name: str, accelerator: str) -> str:
    """On the machine: creates a virtual environment with the locked versions for gpu or tpu."""
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
    """On the machine: pulls the image, with the machine's own credentials for Artifact Registry."""
    registry = image.partition("/")[0]
    login = f"sudo gcloud auth configure-docker {shlex.quote(registry)} --quiet &&\n"
    is_google = registry.endswith((".pkg.dev", "gcr.io"))
    return f"{login if is_google else ''}sudo docker pull --quiet {shlex.quote(image)}"


def code_command(job: Job, strategy_flags: Sequence[str], environment: Sequence[str]) -> str:
    """Runs the job from installed code in `~/NAME`; `environment` contains NAME=VALUE pairs."""
    argv = (".venv/bin/trainer", *job.argv("", strategy_flags))
    return shlex.join((*(["env", *environment] if environment else []), *argv))


def image_command(
    job: Job, image: str, device_flags: Sequence[str], strategy_flags: Sequence[str],
    environment: Sequence[str],
) -> str:  # fmt: skip
    """Runs the job from an image in `~/NAME`, as root, because the devices belong to root."""
    flags = [*device_flags, *(f"--env={variable}" for variable in environment)]
    return (
        f"sudo docker run --rm --name={job.name} --user=0:0 --network=host "
        f'--volume="$HOME/{job.name}:/job:ro" --workdir=/job '
        f"{shlex.join([*flags, image, *job.argv('', strategy_flags)])}"
    )


def run(name: str, command: str) -> str:
    """On the machine: starts the job unless it runs, prints its output, exits with its status."""
    background = f"{command}; echo $? > job.status"
    return (
        f"cd {name} || exit 1\n"
        # Create the log first, because the background process may start late.
        f"[ -e job.pid ] || {{ : > job.log\n"
        f"nohup sh -c {shlex.quote(background)} >> job.log 2>&1 < /dev/null &\n"
        "echo $! > job.pid; }\n"
        'tail -n +1 -f -s 0.2 --pid="$(cat job.pid)" job.log\n'
        '[ -e job.status ] && exit "$(cat job.status)"\n'
        # Either tail ended before the job, or the machine restarted and killed the job.
        f'kill -0 "$(cat job.pid)" && exit {CONNECTION_LOST}\n'
        f"exit {EXIT_INTERRUPTED}"
    )


def stop(name: str, image: str) -> str:
    """On the machine: asks the job to save its state and to exit."""
    if image:
        return f"sudo docker stop -t 120 {name}"
    return f'pkill -TERM -P "$(cat {name}/job.pid)"'


def classify_exit(statuses: Sequence[int], healthy: bool) -> JobStatus:
    """The status of a job on one or several hosts.

    Args:
      statuses: exit statuses of the commands that ran it.
      healthy: whether all machines still run.
    """
    if not any(statuses):
        return JobStatus.FINISHED
    if not healthy or EXIT_INTERRUPTED in statuses:
        return JobStatus.PREEMPTED
    if EXIT_USER_ERROR in statuses:
        return JobStatus.REFUSED
    return JobStatus.DISCONNECTED if CONNECTION_LOST in statuses else JobStatus.FAILED


def archive_path(folder: str, name: str) -> str:
    """The path of the tar file on this machine."""
    return os.path.join(folder, f"{name}.tar.gz")

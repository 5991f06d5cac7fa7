"""`--target=skypilot`: the job as a managed job of SkyPilot, on any cloud that SkyPilot knows.

SkyPilot creates the machines, copies the code, restarts preempted jobs and deletes the machines.

Sources: docs.skypilot.co (reference/yaml-spec, examples/managed-jobs, running-jobs/
distributed-jobs, examples/docker-containers) and SkyPilot 0.14.
"""

import dataclasses
import os
import re
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

import trainer
from trainer.cloud import strategy, yaml_text
from trainer.cloud.commands import Command
from trainer.cloud.google import accelerators
from trainer.cloud.job import Job, remote_path
from trainer.cloud.settings import Settings
from trainer.cloud.target import Context, LocalPlan, Target
from trainer.config.fields import field
from trainer.errors import EXIT_INTERRUPTED, UserError

_SOURCES = ("setup.py", "pyproject.toml", "requirements", "trainer")
_PORT = 2222
# Seconds to save the state after max_hours.
_GRACE_SECONDS = 120
# SkyPilot's names; others are passed on unchanged.
_GPUS = {
    "nvidia-tesla-t4": "T4",
    "nvidia-tesla-v100": "V100",
    "nvidia-l4": "L4",
    "nvidia-tesla-a100": "A100",
    "nvidia-a100-80gb": "A100-80GB",
    "nvidia-h100-80gb": "H100",
}
_TPUS = (
    *("v2-8", "v3-8", "v4-8", "v5litepod-1", "v5litepod-4", "v5litepod-8", "v5p-8"),
    *("v6e-1", "v6e-4", "v6e-8"),
)
_GPU = re.compile(r"[A-Za-z][A-Za-z0-9-]*(:[1-9][0-9]*)?")
# For the shell of the machine: the chips of a TPU and the memory they lock.
_TPU_DEVICES = (
    "--ulimit=memlock=-1 $(ls -d /dev/accel* /dev/vfio/* 2> /dev/null | sed s/^/--device=/)"
)
# Here a container cannot start another one.
_WITHOUT_DOCKER = ("k8s", "kubernetes", "ssh")
# SkyPilot sets one address per line, in the order of the ranks.
_TF_CONFIG = f"""\
export TF_CONFIG="$(python3 -c '
import json, os
workers = [f"{{address}}:{_PORT}" for address in os.environ["SKYPILOT_NODE_IPS"].split()]
task = {{"type": "worker", "index": int(os.environ["SKYPILOT_NODE_RANK"])}}
print(json.dumps({{"cluster": {{"worker": workers}}, "task": task}}))
')"
"""


@dataclasses.dataclass(frozen=True)
class SkyPilotSettings(Settings):
    """Where SkyPilot may run a job, and on what."""

    image: str = field("", "Container image to run; empty: the machine installs this code.")
    hosts: int = field(1, "Number of machines that train together.", minimum=1)
    infra: str = field(
        "", "Where to run: CLOUD, CLOUD/REGION or CLOUD/REGION/ZONE; empty: the cheapest."
    )
    accelerator: str = field(
        "",
        "GPU type, for example nvidia-l4:2 or SkyPilot's A10G:1, or TPU type with one host, for "
        "example v5litepod-8; empty: CPUs.",
    )
    spot: bool = field(True, "Use spot capacity: cheaper, but it can be preempted at any time.")


def task(job: Job, settings: SkyPilotSettings, *, max_hours: float, max_restarts: int) -> str:
    """The task as YAML.

    SkyPilot recovers the job from a preemption and from exit status 75, as often as needed.
    With every other status the job has failed, and is started again at most `max_restarts`
    times, also if it reports wrong input with status 2: SkyPilot cannot distinguish them.

    Args:
      job: its work directory must be in a bucket, because the machines are deleted.
      settings: with `image`, the container is started by docker on the machine.
      max_hours: time limit of one start of the job.
      max_restarts: number of restarts after failures; 0 as for the other targets.

    Raises:
      UserError: if the accelerator is unknown or has several hosts, the job cannot run on it, or
        the image or the code cannot be used there.
    """
    device = _device(job, settings)
    resources: dict[str, yaml_text.Value] = {
        **({"infra": settings.infra} if settings.infra else {}),
        **device.resources,
        "use_spot": settings.spot,
        "job_recovery": {
            "max_restarts_on_errors": max_restarts,
            "recover_on_exit_codes": [EXIT_INTERRUPTED],
        },
        "labels": {"made-by": "trainer"},
    }
    _check_image(settings)
    return yaml_text.document(
        {
            "name": job.name,
            "resources": resources,
            "num_nodes": settings.hosts,
            "file_mounts": _file_mounts(job, with_code=not settings.image),
            "envs": {"PYTHONUNBUFFERED": "1"},
            "setup": _setup(job, settings.image, device.lock),
            "run": _run(job, settings, device, max_hours),
        }
    )


def _local_plan(job: Job, settings: SkyPilotSettings, context: Context) -> LocalPlan:
    """Hands the job to SkyPilot, which rents the machines and restarts it."""
    # As for the other targets, only a preemption restarts a job.
    text = task(job, settings, max_hours=context.max_hours, max_restarts=0)
    path = os.path.join(tempfile.gettempdir(), f"{job.name}.yaml")
    return LocalPlan(
        prepare=(Command(("dd", f"of={path}", "status=none"), text),),
        run=Command(launch_command(job, path)),
        stop=(),
        not_started=(1,),
        results=job.workdir,
        message="\n".join(
            (
                f"results: {job.workdir}",
                f"next: {Command(log_command(job))}",
                f"stop: {Command(cancel_command(job))}",
            )
        ),
    )


TARGET = Target(
    name="skypilot",
    program="sky",
    settings=SkyPilotSettings,
    local=_local_plan,
    bucket_scheme="gs://",
)


def launch_command(job: Job, path: str) -> tuple[str, ...]:
    """Starts the managed job that the file describes, and returns when it is submitted."""
    return ("sky", "jobs", "launch", f"--name={job.name}", "--yes", "--detach-run", path)


def log_command(job: Job) -> tuple[str, ...]:
    """Prints and follows the job's output."""
    return ("sky", "jobs", "logs", f"--name={job.name}", "--follow")


def cancel_command(job: Job) -> tuple[str, ...]:
    """Stops the job; SkyPilot deletes its machines."""
    return ("sky", "jobs", "cancel", f"--name={job.name}", "--yes")


@dataclasses.dataclass(frozen=True)
class _Device:
    """What a machine has, the lock file for it, and how the job uses it."""

    resources: dict[str, yaml_text.Value]
    lock: str
    docker_flags: tuple[str, ...]
    strategy_flags: tuple[str, ...]


def _device(job: Job, settings: SkyPilotSettings) -> _Device:
    accelerator, hosts = settings.accelerator, settings.hosts
    if not accelerator:
        return _Device({}, "cpu", (), strategy.gpu_or_cpu(job, hosts, 0))
    if accelerator in _TPUS:
        slice_ = accelerators.tpu(accelerator)
        resources: dict[str, yaml_text.Value] = {
            "accelerators": f"tpu-{accelerator}",
            "accelerator_args": {"tpu_vm": True, "runtime_version": slice_.runtime_version},
        }
        flags = strategy.tpu(job, hosts, accelerator)
        return _Device(resources, "tpu", (_TPU_DEVICES,), flags)
    if re.match(r"(tpu-)?v\d", accelerator) or not _GPU.fullmatch(accelerator):
        raise UserError(
            "accelerator must be a GPU, as nvidia-l4:2 or A10G:1, or a TPU slice with one host, "
            f"{' | '.join(_TPUS)}. Received: {accelerator!r}"
        )
    kind, _, count = accelerator.partition(":")
    gpus = int(count or 1)
    return _Device(
        {"accelerators": f"{_GPUS.get(kind, kind)}:{gpus}"},
        "gpu",
        ("--gpus=all",),
        strategy.gpu_or_cpu(job, hosts, gpus),
    )


def _check_image(settings: SkyPilotSettings) -> None:
    """As the runtime environment of SkyPilot an image would need root and apt-get."""
    cloud = settings.infra.partition("/")[0].lower()
    if settings.image and cloud in _WITHOUT_DOCKER:
        raise UserError(
            f"SkyPilot cannot start an image on {cloud}: remove image, or use "
            f"--target=kubernetes. Received: {settings.image!r}"
        )


def _file_mounts(job: Job, with_code: bool) -> dict[str, yaml_text.Value]:
    mounts: dict[str, yaml_text.Value] = {}
    if with_code:
        root = Path(trainer.__file__).parent.parent
        if not (root / "setup.py").is_file():
            raise UserError(
                f"{root} is not a checkout of the project, so its code cannot be sent; set "
                "image=… instead"
            )
        mounts = {f"~/{job.name}/{name}": str(root / name) for name in _SOURCES}
    for _, path in job.files:
        mounts[f"~/{job.name}/{remote_path(path)}"] = str(Path(path).absolute())
    return mounts


def _setup(job: Job, image: str, lock: str) -> str:
    if image:
        return _pull(image)
    apt = "sudo apt-get -qq -o DPkg::Lock::Timeout=300"
    pip = ".venv/bin/pip install --quiet --disable-pip-version-check --no-deps --use-pep517"
    return (
        f"cd ~/{job.name} || exit 1\n"
        "python3 -m venv .venv || {\n"
        f"  {apt} update && {apt} install -y python3-venv && python3 -m venv .venv\n"
        "} || exit 1\n"
        f"{pip} -r requirements/{lock}.txt || exit 1\n"
        # setuptools is in the lock.
        f"{pip} --no-build-isolation .\n"
    )


def _pull(image: str) -> str:
    """Pulls the image, with the machine's own credentials for Artifact Registry."""
    registry = image.partition("/")[0]
    login = f"sudo gcloud auth configure-docker {shlex.quote(registry)} --quiet || exit 1\n"
    is_google = registry.endswith((".pkg.dev", "gcr.io"))
    return f"{login if is_google else ''}sudo docker pull --quiet {shlex.quote(image)}\n"


def _run(job: Job, settings: SkyPilotSettings, device: _Device, max_hours: float) -> str:
    program: Sequence[str] = (".venv/bin/trainer",)
    folder = ""
    if settings.image:
        program, folder = _docker(settings, device), "/job"
    argv = (*program, *job.argv(folder, device.strategy_flags))
    seconds = max(1, round(max_hours * 3600))
    limit = f"timeout --kill-after={_GRACE_SECONDS} {seconds}"
    return (
        f"cd ~/{job.name} || exit 1\n"
        f"{_TF_CONFIG if settings.hosts > 1 else ''}"
        f"exec {limit} {shlex.join(argv)}\n"
    )


def _docker(settings: SkyPilotSettings, device: _Device) -> tuple[str, ...]:
    """As root, because the devices belong to root. The metadata server needs host networking."""
    several = settings.hosts > 1
    devices = f"{_TPU_DEVICES} " if _TPU_DEVICES in device.docker_flags else ""
    return (
        "sh",
        "-c",
        # sudo passes no environment, and the folder is only known on the machine.
        f"exec sudo {'--preserve-env=TF_CONFIG ' if several else ''}docker run --rm --init "
        f"--user=0:0 --network=host --ipc=host {devices}"
        '--volume="$PWD:/job:ro" --workdir=/job "$@"',
        "docker",
        *(flag for flag in device.docker_flags if flag != _TPU_DEVICES),
        *(("--env=TF_CONFIG",) if several else ()),
        "--env=PYTHONUNBUFFERED=1",
        settings.image,
    )

"""`--target=gpu-vm`: creates Compute Engine machines with GPUs and runs the job over ssh."""

import json
from collections.abc import Sequence

from trainer.cloud.google import accelerators, gcloud, virtual_machine
from trainer.cloud.google.settings import GoogleSettings, check_agent_fits
from trainer.cloud.job import Job
from trainer.cloud.plan import Command, JobStatus, Plan
from trainer.cloud.target import Context, Target

_PORT = 2222
# ssh may respond before the GPU driver is ready.
_WAIT_FOR_GPUS = "timeout 600 sh -c 'until nvidia-smi > /dev/null; do sleep 5; done'"


def plan(job: Job, settings: GoogleSettings, context: Context) -> Plan:
    """One or several machines with GPUs; several train together, configured by TF_CONFIG.

    The machines delete themselves after `max_hours`, even if this machine fails.

    Raises:
      UserError: if the GPU or the machine type is unknown, or the job cannot use several hosts.
    """
    check_agent_fits(job, settings)
    gpus = accelerators.gpus(settings.accelerator, settings.machine_type)
    place = gcloud.project_and_zone(settings)
    hosts = [f"{job.name}-{n}" for n in range(settings.hosts)]
    tar = virtual_machine.archive_path(context.folder, job.name)
    if settings.image:
        stage = virtual_machine.pull(settings.image)
    else:
        stage = virtual_machine.install(job.name, "gpu")

    def ssh(host: str, text: str) -> Command:
        flags = (*virtual_machine.SSH_FLAGS, f"--command={text}")
        return gcloud.command("compute ssh", host, *place, *flags)

    def run(number: int) -> str:
        environment = tf_config(hosts, number)
        strategy_flags = strategy_flag(job.command, settings.hosts, gpus.count)
        if settings.image:
            command = virtual_machine.image_command(
                job, settings.image, ("--gpus=all",), strategy_flags, environment
            )
        else:
            command = virtual_machine.code_command(job, strategy_flags, environment)
        return virtual_machine.run(job.name, command)

    return Plan(
        name=job.name,
        prepare=(virtual_machine.archive(job, tar, with_code=not settings.image),),
        create=gcloud.command(
            "compute instances create",
            *hosts,
            *place,
            f"--machine-type={gpus.machine_type}",
            f"--accelerator=type={gpus.kind},count={gpus.count}",
            *(["--provisioning-model=SPOT"] if settings.spot else []),
            "--instance-termination-action=DELETE",
            f"--max-run-duration={round(context.max_hours * 3600)}s",
            "--maintenance-policy=TERMINATE",
            f"--image-family={settings.vm_image_family}",
            "--image-project=deeplearning-platform-release",
            f"--boot-disk-size={settings.disk_gb}GB",
            "--scopes=cloud-platform",
            "--labels=made-by=trainer",
            *gcloud.optional_flag("network", settings.network),
            *gcloud.optional_flag("service-account", settings.service_account),
        ),
        prints_identifier=False,
        ready=None,
        stage=(
            # In sequence: the first connection adds the ssh key to the project.
            *((ssh(host, _WAIT_FOR_GPUS),) for host in hosts),
            tuple(
                gcloud.command("compute scp", tar, f"{host}:{job.name}.tar.gz", *place)
                for host in hosts
            ),
            tuple(ssh(host, f"{virtual_machine.unpack(job.name)} &&\n{stage}") for host in hosts),
        ),
        job=tuple(ssh(host, run(number)) for number, host in enumerate(hosts)),
        completion=None,
        describe=gcloud.command(
            "compute instances list",
            *gcloud.optional_flag("project", settings.project),
            f"--zones={settings.zone}",
            f"--filter=name=({' '.join(hosts)})",
            "--format=value(status)",
        ),
        classify_exit=lambda statuses, state: _classify_exit(statuses, state, len(hosts)),
        stop=tuple(ssh(host, virtual_machine.stop(job.name, settings.image)) for host in hosts),
        cleanup=(Command(("rm", "-f", tar)),),
        delete=(gcloud.command("compute instances delete", *hosts, *place),),
        errors=gcloud.ERRORS,
        results=job.workdir,
        machines=tuple(hosts),
    )


TARGET = Target(
    name="gpu-vm",
    program="gcloud",
    settings=GoogleSettings,
    plan=plan,
    required=("accelerator", "zone"),
    bucket_scheme="gs://",
)


def strategy_flag(command: str, hosts: int, gpus: int) -> tuple[str, ...]:
    """The strategy flag for a number of hosts with a number of GPUs each.

    It is explicit, so that the job fails if the GPUs are missing. A search gives each trial one
    GPU.
    """
    if command == "tune":
        return ("--strategy=gpu",)
    if hosts > 1:
        return ("--strategy=multi_worker",)
    return ("--strategy=mirrored",) if gpus > 1 else ("--strategy=gpu",)


def tf_config(hosts: Sequence[str], number: int) -> tuple[str, ...]:
    """TF_CONFIG of one of several hosts, as NAME=VALUE; empty for a single host."""
    if len(hosts) == 1:
        return ()
    cluster = {"worker": [f"{host}:{_PORT}" for host in hosts]}
    task = {"type": "worker", "index": number}
    return (f"TF_CONFIG={json.dumps({'cluster': cluster, 'task': task})}",)


def _classify_exit(statuses: Sequence[int], state: str, hosts: int) -> JobStatus:
    return virtual_machine.classify_exit(statuses, healthy=state.split() == ["RUNNING"] * hosts)

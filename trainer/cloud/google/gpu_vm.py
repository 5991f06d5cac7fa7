"""`--target=gpu-vm`: one or several Compute Engine machines, and the job on them over ssh."""

import json
from collections.abc import Sequence

from trainer.cloud.google import accelerators, gcloud, virtual_machine
from trainer.cloud.job import Job
from trainer.cloud.plan import Command, End, Plan
from trainer.cloud.settings import Settings

_PORT = 2222
# The driver may still be settling when ssh already answers.
_GPUS_ANSWER = "timeout 600 sh -c 'until nvidia-smi > /dev/null; do sleep 5; done'"


def plan(job: Job, settings: Settings, folder: str, max_hours: float) -> Plan:
    """Machines with GPUs; several train together, as TF_CONFIG tells them.

    Args:
      job: its workdir is gs://….
      settings: project, zone, accelerator, hosts, ….
      folder: where a tar file may be put on this machine.
      max_hours: the machines delete themselves after that, whatever becomes of this one.

    Raises:
      UserError: if the tables do not have the GPU or the machine type.
    """
    gpus = accelerators.gpus(settings.accelerator, settings.machine_type)
    place = gcloud.in_zone(settings)
    hosts = [f"{job.name}-{n}" for n in range(settings.hosts)]
    tar = virtual_machine.archive_path(folder, job.name)
    if settings.image:
        stage = virtual_machine.pull(settings.image)
    else:
        stage = virtual_machine.install(job.name, "gpu")

    def ssh(host: str, text: str) -> Command:
        flags = (*virtual_machine.SSH_FLAGS, f"--command={text}")
        return gcloud.command("compute ssh", host, *place, *flags)

    def run(number: int) -> str:
        environment = tf_config(hosts, number)
        placement = strategy(job.command, settings.hosts, gpus.count)
        if settings.image:
            command = virtual_machine.image_command(
                job, settings.image, ("--gpus=all",), placement, environment
            )
        else:
            command = virtual_machine.code_command(job, placement, environment)
        return virtual_machine.run(job.name, command)

    return Plan(
        name=job.name,
        prepare=(virtual_machine.archive(job, tar, with_code=not settings.image),),
        make=gcloud.command(
            "compute instances create",
            *hosts,
            *place,
            f"--machine-type={gpus.machine_type}",
            f"--accelerator=type={gpus.kind},count={gpus.count}",
            *(["--provisioning-model=SPOT"] if settings.spot else []),
            "--instance-termination-action=DELETE",
            f"--max-run-duration={round(max_hours * 3600)}s",
            "--maintenance-policy=TERMINATE",
            f"--image-family={settings.vm_image_family}",
            "--image-project=deeplearning-platform-release",
            f"--boot-disk-size={settings.disk_gb}GB",
            "--scopes=cloud-platform",
            "--labels=made-by=trainer",
            *gcloud.given("network", settings.network),
            *gcloud.given("service-account", settings.service_account),
        ),
        has_identifier=False,
        ready=None,
        stage=(
            # One after another: the first puts the key for ssh into the project.
            *((ssh(host, _GPUS_ANSWER),) for host in hosts),
            tuple(
                gcloud.command("compute scp", tar, f"{host}:{job.name}.tar.gz", *place)
                for host in hosts
            ),
            tuple(ssh(host, f"{virtual_machine.unpack(job.name)} &&\n{stage}") for host in hosts),
        ),
        job=tuple(ssh(host, run(number)) for number, host in enumerate(hosts)),
        end=None,
        state=gcloud.command(
            "compute instances list",
            *gcloud.given("project", settings.project),
            f"--zones={settings.zone}",
            f"--filter=name=({' '.join(hosts)})",
            "--format=value(status)",
        ),
        judge=lambda statuses, state: _judge(statuses, state, len(hosts)),
        stop=tuple(ssh(host, virtual_machine.stop(job.name, settings.image)) for host in hosts),
        clear=(Command(("rm", "-f", tar)),),
        delete=(gcloud.command("compute instances delete", *hosts, *place),),
        results=job.workdir,
        machines=tuple(hosts),
    )


def strategy(command: str, hosts: int, gpus: int) -> tuple[str, ...]:
    """The strategy for so many machines of so many GPUs: one that fails where they are not.

    A search gives each trial a GPU of its own, on whichever machine.
    """
    if command == "tune":
        return ("--strategy=gpu",)
    if hosts > 1:
        return ("--strategy=multi_worker",)
    return ("--strategy=mirrored",) if gpus > 1 else ("--strategy=gpu",)


def tf_config(hosts: Sequence[str], number: int) -> tuple[str, ...]:
    """TF_CONFIG for one of several hosts, as NAME=VALUE; nothing for a single one."""
    if len(hosts) == 1:
        return ()
    cluster = {"worker": [f"{host}:{_PORT}" for host in hosts]}
    task = {"type": "worker", "index": number}
    return (f"TF_CONFIG={json.dumps({'cluster': cluster, 'task': task})}",)


def _judge(statuses: Sequence[int], state: str, hosts: int) -> End:
    return virtual_machine.judge(statuses, healthy=state.split() == ["RUNNING"] * hosts)

"""`--target=gpu-vm`: Compute Engine machines with GPUs."""

import json
from collections.abc import Sequence

from trainer.cloud.commands import Command
from trainer.cloud.google import accelerators, checks, gcloud, metadata, prices
from trainer.cloud.google.settings import GPUSettings, check_agent_fits
from trainer.cloud.google.storage import Bucket
from trainer.cloud.listing import Listed, Query, workdir_of
from trainer.cloud.records import Attempt, JobRecord
from trainer.cloud.target import Health, Machines, Observed, Target

KIND = "gpu-vm"
# States of an instance. REPAIRING ends in RUNNING.
_PENDING = {"PROVISIONING", "STAGING", "PENDING", "REPAIRING"}
# The limit of --max-run-duration.
_MAX_SECONDS = 120 * 24 * 3600


def machines(task: str, command: str, settings: GPUSettings) -> Machines:
    """One or several machines with GPUs; several train together, configured by TF_CONFIG.

    The platform deletes the machines at the deadline, even if nothing on them works.

    Raises:
      UserError: if the GPU or the machine type is unknown, or the job cannot use several hosts.
    """
    check_agent_fits(task, command, settings.hosts)
    gpus = accelerators.gpus(settings.accelerator, settings.machine_type)
    needs = checks.Needs(
        self_deletion="compute.instances.delete",
        quota=quota_name(gpus.kind, settings.spot),
        count=gpus.count * settings.hosts,
        region=settings.zones[0].rpartition("-")[0],
    )
    price = prices.hourly(gpus.machine_type, settings.spot, gpus.kind, gpus.count)
    project = gcloud.optional_flag("project", settings.project)

    def create(job: JobRecord, attempt: Attempt) -> Command:
        return gcloud.command(
            "compute instances create",
            *attempt.machines,
            *project,
            f"--zone={attempt.place}",
            f"--machine-type={gpus.machine_type}",
            f"--accelerator=type={gpus.kind},count={gpus.count}",
            *(["--provisioning-model=SPOT"] if settings.spot else []),
            "--instance-termination-action=DELETE",
            f"--max-run-duration={min(metadata.platform_seconds(attempt), _MAX_SECONDS)}s",
            "--maintenance-policy=TERMINATE",
            f"--image-family={settings.vm_image_family}",
            "--image-project=deeplearning-platform-release",
            f"--boot-disk-size={settings.disk_gb}GB",
            "--scopes=cloud-platform",
            f"--labels={metadata.labels(job)}",
            *gcloud.optional_flag("network", settings.network),
            *gcloud.optional_flag("subnet", settings.subnetwork),
            *(["--no-address"] if settings.internal_ip else []),
            *gcloud.optional_flag("service-account", settings.service_account),
            *metadata.metadata_flags(KIND, job, attempt),
        )

    def describe(attempt: Attempt) -> tuple[Command, ...]:
        return (
            gcloud.command(
                "compute instances list",
                *project,
                f"--zones={attempt.place}",
                f"--filter=name=({' '.join(attempt.machines)})",
                "--format=json(name,status)",
            ),
        )

    def delete(attempt: Attempt, outputs: Sequence[str]) -> tuple[Command, ...]:
        names = sorted(_states(outputs))
        if not names:
            return ()
        zone = f"--zone={attempt.place}"
        return (gcloud.command("compute instances delete", *names, *project, zone),)

    return Machines(
        kind=KIND,
        accelerator="gpu",
        in_container=False,
        strategy_flags=strategy_flag(command, settings.hosts, gpus.count),
        places=settings.zones,
        hosts=settings.hosts,
        create=create,
        describe=describe,
        observe=lambda outputs: _observe(outputs, settings.hosts),
        delete=delete,
        store=Bucket,
        check=lambda workdir: checks.check(workdir, settings, needs),
        hourly_cost=None if price is None else settings.hosts * price,
        warnings=gpus.warnings,
        errors=gcloud.ERRORS,
    )


def listing(settings: GPUSettings) -> Query:
    """Lists the machines of the project in all zones."""
    command = gcloud.command(
        "compute instances list",
        *gcloud.optional_flag("project", settings.project),
        "--filter=labels.made-by=trainer",
        "--format=json(name,zone,status,labels,metadata)",
    )
    return Query(command, _parse_listing, gcloud.ERRORS)


def _parse_listing(output: str) -> list[Listed]:
    found = []
    for row in json.loads(output):
        values = {item["key"]: item["value"] for item in row["metadata"].get("items", [])}
        workdir = workdir_of(metadata.record_of(values.get("trainer-job", "")))
        place = row["zone"].rpartition("/")[2]
        found.append(Listed(row["labels"]["trainer-job"], KIND, place, row["status"], workdir))
    return found


TARGET = Target(
    name=KIND,
    program="gcloud",
    settings=GPUSettings,
    machines=machines,
    listing=listing,
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


def quota_name(kind: str, spot: bool) -> str:
    """The name of the regional quota of a GPU type, for example PREEMPTIBLE_NVIDIA_L4_GPUS."""
    name = kind.replace("tesla-", "").upper().replace("-", "_")
    return f"{'PREEMPTIBLE_' if spot else ''}{name}_GPUS"


def _states(outputs: Sequence[str]) -> dict[str, str]:
    rows = json.loads(outputs[0] or "[]")
    return {row["name"]: row["status"] for row in rows}


def _observe(outputs: Sequence[str], hosts: int) -> Observed:
    states = _states(outputs)
    text = " ".join(sorted(set(states.values()))) or "deleted"
    if not states:
        return Observed(Health.GONE, text)
    # If one of several machines is missing, the job cannot train.
    if len(states) < hosts or not set(states.values()) <= {"RUNNING", *_PENDING}:
        return Observed(Health.LOST, text)
    return Observed(Health.PENDING if set(states.values()) & _PENDING else Health.RUNNING, text)

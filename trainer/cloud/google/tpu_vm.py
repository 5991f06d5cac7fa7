"""`--target=tpu-vm`: a TPU VM, requested as a queued resource."""

import json
from collections.abc import Sequence

from trainer.cloud.commands import Command
from trainer.cloud.google import accelerators, checks, gcloud, metadata, prices
from trainer.cloud.google.settings import TPUSettings
from trainer.cloud.google.storage import Bucket
from trainer.cloud.listing import Listed, Query, workdir_of
from trainer.cloud.records import Attempt, JobRecord
from trainer.cloud.target import Health, Machines, Observed, Target
from trainer.errors import UserError

KIND = "tpu-vm"
# States of a queued resource, and of its node while the queued resource is ACTIVE.
_PENDING = {"CREATING", "ACCEPTED", "WAITING_FOR_RESOURCES", "PROVISIONING"}
_PENDING_NODE = {"", "CREATING", "STARTING", "RESTARTING", "REPAIRING", "UNHIDING", "HIDING"}
# A request must stay valid for some time.
_MIN_VALID_SECONDS = 600


def machines(task: str, command: str, settings: TPUSettings) -> Machines:
    """A TPU VM with one host.

    Raises:
      UserError: if the accelerator cannot be used, or the job cannot run on a TPU.
    """
    del command
    if task == "rl":
        raise UserError("agents do not run on TPUs: use --target=gpu-vm or --target=vertex")
    tpu = accelerators.tpu(settings.accelerator, settings.runtime_version)
    needs = checks.Needs(self_deletion="tpu.nodes.delete", image=settings.image)
    price = prices.hourly(tpu.accelerator_type, settings.spot)
    project = gcloud.optional_flag("project", settings.project)

    def create(job: JobRecord, attempt: Attempt) -> Command:
        seconds = max(round(attempt.deadline - attempt.created), _MIN_VALID_SECONDS)
        return gcloud.command(
            "compute tpus queued-resources create",
            attempt.name,
            *project,
            f"--zone={attempt.place}",
            f"--node-id={attempt.name}",
            f"--accelerator-type={tpu.accelerator_type}",
            f"--runtime-version={tpu.runtime_version}",
            f"--valid-until-duration={seconds}s",
            *(["--spot"] if settings.spot else []),
            f"--labels={metadata.labels(job)}",
            *gcloud.optional_flag("network", settings.network),
            *gcloud.optional_flag("subnetwork", settings.subnetwork),
            *(["--internal-ips"] if settings.internal_ip else []),
            *gcloud.optional_flag("service-account", settings.service_account),
            *metadata.metadata_flags(KIND, job, attempt),
        )

    def describe(attempt: Attempt) -> tuple[Command, ...]:
        place = (attempt.name, *project, f"--zone={attempt.place}")
        return (
            gcloud.command(
                "compute tpus queued-resources describe",
                *place,
                "--format=value(state.state,state.failedData.error.message)",
            ),
            gcloud.command("compute tpus tpu-vm describe", *place, "--format=value(state,health)"),
        )

    def delete(attempt: Attempt, outputs: Sequence[str]) -> tuple[Command, ...]:
        if not outputs[0]:
            return ()
        # Without --force the service refuses to delete a request that has just become a machine.
        is_waiting = outputs[0].split()[0] in _PENDING and not outputs[1]
        return (
            gcloud.command(
                "compute tpus queued-resources delete",
                attempt.name,
                *project,
                f"--zone={attempt.place}",
                *([] if is_waiting else ["--force"]),
            ),
        )

    return Machines(
        kind=KIND,
        accelerator="tpu",
        in_container=False,
        strategy_flags=("--strategy=tpu", "--tpu=local"),
        places=settings.zones,
        hosts=1,
        create=create,
        describe=describe,
        observe=_observe,
        delete=delete,
        store=Bucket,
        check=lambda workdir: checks.check(workdir, settings, needs),
        hourly_cost=price,
        warnings=tpu.warnings,
        errors=gcloud.ERRORS,
    )


def listing(settings: TPUSettings) -> Query:
    """Lists the queued resources of the project in all zones."""
    command = gcloud.command(
        "compute tpus queued-resources list",
        *gcloud.optional_flag("project", settings.project),
        "--zone=-",
        "--format=json(name,state.state,tpu)",
    )
    return Query(command, _parse_listing, gcloud.ERRORS)


def _parse_listing(output: str) -> list[Listed]:
    found = []
    for row in json.loads(output):
        node = row["tpu"]["nodeSpec"][0]["node"]
        if node.get("labels", {}).get("made-by") != "trainer":
            continue
        workdir = workdir_of(metadata.record_of(node.get("metadata", {}).get("trainer-job", "")))
        place = row["name"].split("/")[3]
        state = row["state"]["state"]
        found.append(Listed(node["labels"]["trainer-job"], KIND, place, state, workdir))
    return found


TARGET = Target(
    name=KIND,
    program="gcloud",
    settings=TPUSettings,
    machines=machines,
    listing=listing,
    required=("accelerator", "zone"),
    bucket_scheme="gs://",
)


def _observe(outputs: Sequence[str]) -> Observed:
    queued, node = outputs
    if not queued:
        return Observed(Health.GONE, "deleted")
    state, _, message = queued.partition("\t")
    if state in _PENDING:
        return Observed(Health.PENDING, state)
    if state == "FAILED":
        kind = gcloud.ERRORS.kind(message)
        return Observed(
            Health.LOST,
            " ".join(queued.split()),
            stocked_out=kind.name == "STOCK_OUT",
            refused=message if kind.name == "QUOTA" else "",
        )
    if state != "ACTIVE":
        return Observed(Health.LOST, state)
    node_state = node.split()[0] if node else ""
    text = f"{state} {node_state}".strip()
    if node_state == "READY":
        return Observed(Health.RUNNING, text)
    is_pending = node_state in _PENDING_NODE
    return Observed(Health.PENDING if is_pending else Health.LOST, text)

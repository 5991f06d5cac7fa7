"""`--target=vertex`: runs the image as a Vertex AI custom job. The service sets TF_CONFIG."""

import json
import re
from collections.abc import Sequence
from typing import Any

from trainer.cloud.command_errors import ErrorKind
from trainer.cloud.commands import Command
from trainer.cloud.google import accelerators, checks, gcloud, metadata, prices
from trainer.cloud.google.gpu_vm import strategy_flag
from trainer.cloud.google.settings import VertexSettings, check_agent_fits
from trainer.cloud.google.storage import Bucket
from trainer.cloud.listing import Listed, Query, workdir_of
from trainer.cloud.records import Attempt, JobRecord
from trainer.cloud.target import Health, Machines, Observed, Target
from trainer.errors import UserError

KIND = "vertex"
# What Vertex AI adds to the price of a machine, about: cloud.google.com/vertex-ai/pricing.
_FEE = 1.15
_PENDING = {"JOB_STATE_QUEUED", "JOB_STATE_PENDING"}
_RUNNING = {"JOB_STATE_RUNNING", "JOB_STATE_CANCELLING", "JOB_STATE_UPDATING", "JOB_STATE_PAUSED"}
_ACTIVE = _PENDING | _RUNNING
# The service's messages about an image that cannot be started. Others may be of the moment.
_UNUSABLE = re.compile(r"image.*(not found|does not exist|denied)|permission.*image", re.I)


def machines(task: str, command: str, settings: VertexSettings) -> Machines:
    """One custom job with a chief and, for several hosts, workers.

    The service stops the job at the deadline. It must not restart containers itself, which it
    does several times even if the job has refused its input.

    Raises:
      UserError: if the GPU or the machine type is unknown, or the job cannot use several hosts.
    """
    check_agent_fits(task, command, settings.hosts)
    if not settings.regions:
        raise UserError("--target=vertex needs region: set it with --region=… or in cloud.toml")
    gpus = accelerators.gpus(settings.accelerator, settings.machine_type)
    needs = checks.Needs(image=settings.image)
    price = prices.hourly(gpus.machine_type, settings.spot, gpus.kind, gpus.count)
    project = gcloud.optional_flag("project", settings.project)

    def create(job: JobRecord, attempt: Attempt) -> Command:
        return gcloud.command(
            "ai custom-jobs create",
            *project,
            f"--region={attempt.place}",
            f"--display-name={attempt.name}",
            f"--labels={metadata.labels(job)}",
            "--config=-",
            text=json.dumps(specification(job, attempt), indent=1),
        )

    def specification(job: JobRecord, attempt: Attempt) -> dict[str, Any]:
        """The CustomJobSpec of the service's API."""
        arguments = [f"--record={job.folder}", f"--attempt={attempt.number}"]

        def pool(replicas: int) -> dict[str, Any]:
            return {
                "machineSpec": {
                    "machineType": gpus.machine_type,
                    "acceleratorType": gpus.kind.upper().replace("-", "_"),
                    "acceleratorCount": gpus.count,
                },
                "replicaCount": replicas,
                "containerSpec": {
                    "imageUri": settings.image,
                    "command": ["python", "-m", "trainer.cloud.google.machine.attempt"],
                    "args": arguments,
                },
            }

        return {
            "workerPoolSpecs": [
                pool(1),
                *([pool(settings.hosts - 1)] if settings.hosts > 1 else []),
            ],
            "scheduling": {
                "timeout": f"{metadata.platform_seconds(attempt)}s",
                "strategy": "SPOT" if settings.spot else "STANDARD",
                "restartJobOnWorkerRestart": False,
                "disableRetries": True,
            },
            **({"serviceAccount": settings.service_account} if settings.service_account else {}),
            **({"network": settings.network} if settings.network else {}),
        }

    def describe(attempt: Attempt) -> tuple[Command, ...]:
        return (
            gcloud.command(
                "ai custom-jobs list",
                *project,
                f"--region={attempt.place}",
                f"--filter=displayName={attempt.name}",
                "--format=json(name,state,error)",
            ),
        )

    def delete(attempt: Attempt, outputs: Sequence[str]) -> tuple[Command, ...]:
        # A job that has ended costs nothing, and its record links to the service's log.
        place = (*project, f"--region={attempt.place}")
        return tuple(
            gcloud.command("ai custom-jobs cancel", row["name"].rpartition("/")[2], *place)
            for row in json.loads(outputs[0] or "[]")
            if row["state"] in _ACTIVE
        )

    return Machines(
        kind=KIND,
        accelerator="gpu",
        in_container=True,
        strategy_flags=strategy_flag(command, settings.hosts, gpus.count),
        places=settings.regions,
        hosts=settings.hosts,
        create=create,
        describe=describe,
        observe=_observe,
        delete=delete,
        store=Bucket,
        check=lambda workdir: checks.check(workdir, settings, needs),
        hourly_cost=None if price is None else _FEE * settings.hosts * price,
        warnings=gpus.warnings,
        errors=gcloud.ERRORS,
    )


def listing(settings: VertexSettings) -> Query:
    """Lists the custom jobs of the first region; none if no region is known."""
    command = None
    if settings.regions:
        command = gcloud.command(
            "ai custom-jobs list",
            *gcloud.optional_flag("project", settings.project),
            f"--region={settings.regions[0]}",
            "--filter=labels.made-by=trainer",
            "--format=json(name,state,labels,jobSpec)",
        )
    return Query(command, _parse_listing, gcloud.ERRORS)


def _parse_listing(output: str) -> list[Listed]:
    found = []
    for row in json.loads(output):
        arguments = row["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["args"]
        record = arguments[0].partition("=")[2]
        name, state = row["labels"]["trainer-job"], row["state"].removeprefix("JOB_STATE_")
        found.append(Listed(name, KIND, row["name"].split("/")[3], state, workdir_of(record)))
    return found


TARGET = Target(
    name=KIND,
    program="gcloud",
    settings=VertexSettings,
    machines=machines,
    listing=listing,
    required=("accelerator", "image"),
    bucket_scheme="gs://",
)


def _observe(outputs: Sequence[str]) -> Observed:
    rows = json.loads(outputs[0] or "[]")
    if not rows:
        return Observed(Health.GONE, "does not exist")
    # A request whose answer was lost may have been repeated: whichever is active counts.
    row = next((row for row in rows if row["state"] in _ACTIVE), rows[0])
    state, message = row["state"], row.get("error", {}).get("message", "")
    text = " ".join(f"{state} {message}".split())
    if state in _ACTIVE:
        return Observed(Health.PENDING if state in _PENDING else Health.RUNNING, text)
    return Observed(
        Health.LOST,
        text,
        stocked_out=gcloud.ERRORS.kind(message) is ErrorKind.STOCK_OUT,
        refused=message if _UNUSABLE.search(message) else "",
    )

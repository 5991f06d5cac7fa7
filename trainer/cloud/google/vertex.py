"""`--target=vertex`: runs the image as a Vertex AI custom job. The service sets TF_CONFIG."""

import json
import re
from collections.abc import Sequence

from trainer.cloud.google import accelerators, gcloud
from trainer.cloud.google.gpu_vm import strategy_flag
from trainer.cloud.google.settings import GoogleSettings, check_agent_fits
from trainer.cloud.job import Job, remote_path
from trainer.cloud.plan import IDENTIFIER, Command, JobStatus, Plan, Wait
from trainer.cloud.target import Context, Target
from trainer.errors import EXIT_INTERRUPTED, EXIT_USER_ERROR

_DONE = ("JOB_STATE_SUCCEEDED",)
_ENDED = ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")
# How the service reports the exit status of a container, and a preemption.
_STATUS = re.compile(r"non-zero status of (\d+)")
_PREEMPTED = re.compile(r"preempt|internal error|unavailable|\b(13|14)\b", re.I)


def plan(job: Job, settings: GoogleSettings, context: Context) -> Plan:
    """One custom job with a chief and, for several hosts, workers.

    The job's files are in the bucket, which is mounted under /gcs in every container. The
    service cancels the job after `max_hours`.

    Raises:
      UserError: if the GPU or the machine type is unknown, or the job cannot use several hosts.
    """
    check_agent_fits(job, settings)
    gpus = accelerators.gpus(settings.accelerator, settings.machine_type)
    place = (
        *gcloud.optional_flag("project", settings.project),
        f"--region={settings.vertex_region}",
    )
    staging = f"{settings.bucket}/trainer-staging/{job.name}"
    staged = {path: f"gs://{staging}/{remote_path(path)}" for _, path in job.files}
    strategy_flags = strategy_flag(job.command, settings.hosts, gpus.count)
    scheduling: dict[str, str] = {"timeout": f"{round(context.max_hours * 3600)}s"}
    if settings.spot:
        scheduling["strategy"] = "SPOT"

    def pool(replicas: int) -> str:
        return (
            f"--worker-pool-spec=machine-type={gpus.machine_type},replica-count={replicas},"
            f"accelerator-type={gpus.kind.upper().replace('-', '_')},"
            f"accelerator-count={gpus.count},container-image-uri={settings.image}"
        )

    def custom_job(verb: str, *flags: str) -> Command:
        return gcloud.command(f"ai custom-jobs {verb}", IDENTIFIER, *place, *flags)

    describe = custom_job("describe", "--format=value(state,error.code,error.message)")
    return Plan(
        name=job.name,
        prepare=tuple(
            gcloud.command("storage cp", path, object_) for path, object_ in staged.items()
        ),
        create=gcloud.command(
            "ai custom-jobs create",
            *place,
            f"--display-name={job.name}",
            "--config=-",
            pool(1),
            *([pool(settings.hosts - 1)] if settings.hosts > 1 else []),
            f"--args={_list(job.argv(f'/gcs/{staging}', strategy_flags))}",
            "--labels=made-by=trainer",
            *gcloud.optional_flag("service-account", settings.service_account),
            "--format=value(name)",
            # Spot capacity can only be requested in a configuration; the flags add to it.
            text=json.dumps({"scheduling": scheduling}),
        ),
        prints_identifier=True,
        ready=None,
        stage=(),
        job=(
            _unbuffered(custom_job("stream-logs", f"--polling-interval={settings.poll_seconds}")),
        ),
        # `stream-logs` reads the job's state only once, when it starts, and never exits.
        completion=Wait(describe, done=_DONE, failed=_ENDED),
        describe=describe,
        classify_exit=_classify_exit,
        stop=(custom_job("cancel"),),
        cleanup=(gcloud.command("storage rm", *staged.values()),),
        # A job that has ended costs nothing, and its record links to its log.
        delete=(),
        errors=gcloud.ERRORS,
        results=job.workdir,
    )


TARGET = Target(
    name="vertex",
    program="gcloud",
    settings=GoogleSettings,
    plan=plan,
    required=("accelerator", "image", "bucket", "vertex_region"),
    bucket_scheme="gs://",
)


def _unbuffered(command: Command) -> Command:
    """The command with unbuffered output, even if its output is not a terminal."""
    return Command(("env", "PYTHONUNBUFFERED=1", *command.argv))


def _list(values: Sequence[str]) -> str:
    """A list argument of gcloud, with a delimiter that occurs in none of the values."""
    candidates = map(chr, (*b"|;~!@#%&", *range(0xA1, 0x3000)))
    text = "".join(values)
    delimiter = next(mark for mark in candidates if mark not in text)
    return f"^{delimiter}^{delimiter.join(values)}"


def _classify_exit(statuses: Sequence[int], state: str) -> JobStatus:
    del statuses  # of stream-logs, which says nothing about the job
    name = state.split()[0] if state.split() else ""
    if name in _DONE:
        return JobStatus.FINISHED
    if name != "JOB_STATE_FAILED":
        return JobStatus.CANCELLED
    exited = _STATUS.search(state)
    if exited is None:
        return JobStatus.PREEMPTED if _PREEMPTED.search(state) else JobStatus.FAILED
    known = {EXIT_INTERRUPTED: JobStatus.PREEMPTED, EXIT_USER_ERROR: JobStatus.REFUSED}
    return known.get(int(exited[1]), JobStatus.FAILED)

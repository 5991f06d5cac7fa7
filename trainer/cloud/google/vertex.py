"""`--target=vertex`: a Vertex AI custom job; the image runs, TF_CONFIG is set by the service."""

import json
import re
from collections.abc import Sequence

from trainer.cloud.google import accelerators, gcloud
from trainer.cloud.google.gpu_vm import strategy
from trainer.cloud.job import Job, carried_path
from trainer.cloud.plan import IDENTIFIER, Command, End, Plan, Wait
from trainer.cloud.settings import Settings
from trainer.errors import EXIT_INTERRUPTED, EXIT_USER_ERROR

_DONE = ("JOB_STATE_SUCCEEDED",)
_ENDED = ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")
# How the service reports the exit status of a container, and a machine it took away.
_STATUS = re.compile(r"non-zero status of (\d+)")
_TAKEN_AWAY = re.compile(r"preempt|internal error|unavailable|\b(13|14)\b", re.I)


def plan(job: Job, settings: Settings, max_hours: float) -> Plan:
    """One custom job, of a chief and, for several hosts, workers.

    The job's files lie in the bucket, which every container sees under /gcs.

    Args:
      job: its workdir is gs://….
      settings: project, region or zone, bucket, image, accelerator, hosts, ….
      max_hours: the service ends the job after that.

    Raises:
      UserError: if the tables do not have the GPU or the machine type.
    """
    gpus = accelerators.gpus(settings.accelerator, settings.machine_type)
    place = (*gcloud.given("project", settings.project), f"--region={settings.vertex_region}")
    staging = f"{settings.bucket}/trainer-staging/{job.name}"
    staged = {path: f"gs://{staging}/{carried_path(path)}" for _, path in job.files}
    placement = strategy(job.command, settings.hosts, gpus.count)
    scheduling: dict[str, str] = {"timeout": f"{round(max_hours * 3600)}s"}
    if settings.spot:
        scheduling["strategy"] = "SPOT"

    def pool(replicas: int) -> str:
        return (
            f"--worker-pool-spec=machine-type={gpus.machine_type},replica-count={replicas},"
            f"accelerator-type={gpus.kind.upper().replace('-', '_')},"
            f"accelerator-count={gpus.count},container-image-uri={settings.image}"
        )

    def about(verb: str, *flags: str) -> Command:
        return gcloud.command(f"ai custom-jobs {verb}", IDENTIFIER, *place, *flags)

    describe = about("describe", "--format=value(state,error.code,error.message)")
    return Plan(
        name=job.name,
        prepare=tuple(
            gcloud.command("storage cp", path, object_) for path, object_ in staged.items()
        ),
        make=gcloud.command(
            "ai custom-jobs create",
            *place,
            f"--display-name={job.name}",
            "--config=-",
            pool(1),
            *([pool(settings.hosts - 1)] if settings.hosts > 1 else []),
            f"--args={_list(job.argv(f'/gcs/{staging}', placement))}",
            "--labels=made-by=trainer",
            *gcloud.given("service-account", settings.service_account),
            "--format=value(name)",
            # Only a configuration says that capacity is to be spot; the flags add the rest.
            text=json.dumps({"scheduling": scheduling}),
        ),
        has_identifier=True,
        ready=None,
        stage=(),
        job=(_unbuffered(about("stream-logs", f"--polling-interval={settings.poll_seconds}")),),
        # `stream-logs` looks at the job's state once, at its start, and never ends by itself.
        end=Wait(describe, done=_DONE, failed=_ENDED),
        state=describe,
        judge=_judge,
        stop=(about("cancel"),),
        clear=(gcloud.command("storage rm", *staged.values()),),
        # A job that has ended is a record that costs nothing, and leads to its log.
        delete=(),
        results=job.workdir,
    )


def _unbuffered(command: Command) -> Command:
    """The command, showing each line at once where its output is no terminal."""
    return Command(("env", "PYTHONUNBUFFERED=1", *command.argv))


def _list(values: Sequence[str]) -> str:
    """A list as gcloud reads it, with a delimiter that none of the values has."""
    marks = map(chr, (*b"|;~!@#%&", *range(0xA1, 0x3000)))
    text = "".join(values)
    delimiter = next(mark for mark in marks if mark not in text)
    return f"^{delimiter}^{delimiter.join(values)}"


def _judge(statuses: Sequence[int], state: str) -> End:
    del statuses  # of the command that shows the log
    name = state.split()[0] if state.split() else ""
    if name in _DONE:
        return End.FINISHED
    if name != "JOB_STATE_FAILED":
        return End.CANCELLED
    exited = _STATUS.search(state)
    if exited is None:
        return End.PREEMPTED if _TAKEN_AWAY.search(state) else End.FAILED
    ends = {EXIT_INTERRUPTED: End.PREEMPTED, EXIT_USER_ERROR: End.REFUSED}
    return ends.get(int(exited[1]), End.FAILED)

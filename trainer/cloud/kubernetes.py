"""`--target=kubernetes`: the job as a manifest for Kubernetes, with the node labels of GKE.

The manifest is one YAML stream: a ConfigMap with the job's files, an Indexed Job with one pod per
host, and for several hosts a headless Service, which gives the pods stable names.

Sources: kubernetes.io/docs/concepts/workloads/controllers/job (indexes, pod failure policy, pod
replacement policy), kueue.sigs.k8s.io/docs/tasks/run/jobs (queues), and
cloud.google.com/kubernetes-engine/docs (how-to/gpus, how-to/tpus, concepts/spot-vms).
"""

import dataclasses
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.cloud import kubernetes_pods, yaml_text
from trainer.cloud.commands import Command
from trainer.cloud.job import Job, remote_path
from trainer.cloud.settings import Settings
from trainer.cloud.target import Context, LocalPlan, Target
from trainer.config.fields import field
from trainer.errors import EXIT_INTERRUPTED, EXIT_USER_ERROR, UserError

# The limit of a ConfigMap.
_MAX_FILES_BYTES = 1024 * 1024
# How long an ended job and its log remain.
_KEEP_SECONDS = 24 * 3600
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")


@dataclasses.dataclass(frozen=True)
class KubernetesSettings(Settings):
    """Where in Kubernetes a job runs, and on what."""

    image: str = field("", "Container image to run.")
    hosts: int = field(1, "Number of machines that train together.", minimum=1)
    context: str = field("", "Context of kubectl; empty: the current one.")
    namespace: str = field("default", "Namespace of the job.", non_empty=True)
    queue: str = field("", "Kueue's local queue; empty: the job starts at once.")
    accelerator: str = field(
        "",
        "GPU type, for example nvidia-l4 or nvidia-l4:2, or TPU type with one host, for example "
        "v5litepod-8; empty: CPUs.",
    )
    cpu: str = field("", "Requested CPUs per host, for example 8; empty: the cluster's default.")
    memory: str = field(
        "", "Requested memory per host, for example 32Gi; empty: the cluster's default."
    )
    spot: bool = field(True, "Use spot capacity: cheaper, but it can be preempted at any time.")
    service_account: str = field("", "Service account of the job; empty: the namespace's default.")

    def validate(self) -> None:
        """Refuses names and quantities that the API server would refuse."""
        super().validate()
        for name, pattern, example in (
            ("namespace", _LABEL, "team-a"),
            ("queue", _LABEL, "user-queue"),
            ("service_account", _NAME, "trainer"),
            ("cpu", _QUANTITY, "8"),
            ("memory", _QUANTITY, "32Gi"),
        ):
            value = getattr(self, name)
            if value and not pattern.fullmatch(value):
                raise UserError(f"{name} must be empty or like {example!r}. Received: {value!r}")


def manifest(
    job: Job,
    settings: KubernetesSettings,
    files: Mapping[str, str],
    *,
    max_hours: float,
    max_restarts: int,
) -> str:
    """The manifest of a job.

    A pod that exits with 2 fails the job. A pod that exits with 75, or that is evicted or
    preempted, is replaced and not counted. Every other failure is counted: at most
    `max_restarts` pods per host are replaced.

    Args:
      job: its work directory must be in a bucket, because the pods are deleted.
      settings: `image` must not be empty.
      files: content of each of the job's files by its `remote_path`.
      max_hours: time limit of the job. Time in Kueue's queue does not count.
      max_restarts: number of counted failures per host.

    Raises:
      UserError: if the files exceed 1 MiB, the accelerator is unknown or
        has several hosts, or the job cannot run on it.
    """
    documents = [_config_map(job, settings, files)]
    if settings.hosts > 1:
        documents.append(_service(job, settings))
    documents.append(_job(job, settings, max_hours, max_restarts))
    return yaml_text.documents(documents)


def _local_plan(job: Job, settings: KubernetesSettings, context: Context) -> LocalPlan:
    """Creates the job in the cluster, which runs and restarts it."""
    files = {remote_path(path): Path(path).read_text() for _, path in job.files}
    text = manifest(
        job, settings, files, max_hours=context.max_hours, max_restarts=context.max_restarts
    )
    follow_ups = (log_command(job, settings), state_command(job, settings))
    return LocalPlan(
        prepare=(),
        run=Command(apply_command(settings), text),
        stop=(),
        not_started=(1,),
        results=job.workdir,
        message="\n".join(
            (
                f"results: {job.workdir}",
                *(f"next: {Command(argv)}" for argv in follow_ups),
                f"stop: {Command(stop_command(job, settings))}",
                f"delete: {Command(delete_command(job, settings))}",
            )
        ),
    )


TARGET = Target(
    name="kubernetes",
    program="kubectl",
    settings=KubernetesSettings,
    local=_local_plan,
    required=("image",),
    bucket_scheme="gs://",
)


def apply_command(settings: KubernetesSettings) -> tuple[str, ...]:
    """Creates what the manifest on standard input describes.

    Server-side, because otherwise kubectl stores the whole ConfigMap in an annotation, which is
    limited to 256 KiB. Applying it again does nothing while the job exists, so an ended job must
    be deleted first.
    """
    return (*_kubectl(settings), "apply", "--server-side", "--filename=-")


def log_command(job: Job, settings: KubernetesSettings) -> tuple[str, ...]:
    """Prints and follows the output of the pods that exist, until they end."""
    return (
        *_kubectl(settings),
        "logs",
        "--follow",
        f"--selector={_selector(job)}",
        "--prefix",
        "--tail=-1",
        f"--max-log-requests={max(settings.hosts, 5)}",
    )


def state_command(job: Job, settings: KubernetesSettings) -> tuple[str, ...]:
    """Prints `TYPE:REASON` of each condition of the job; at the end one is Complete or Failed.

    The reason of a failure is PodFailurePolicy (a pod exited with 2), BackoffLimitExceeded or
    DeadlineExceeded. Nothing is printed if the job does not exist.
    """
    conditions = '{range .status.conditions[?(@.status=="True")]}{.type}:{.reason} {end}'
    argv = ("get", "job", job.name, "--ignore-not-found", f"--output=jsonpath={conditions}")
    return (*_kubectl(settings), *argv)


def stop_command(job: Job, settings: KubernetesSettings) -> tuple[str, ...]:
    """Suspends the job: its pods save their state and exit, and no others are created."""
    argv = ("patch", "job", job.name, "--type=merge", '--patch={"spec":{"suspend":true}}')
    return (*_kubectl(settings), *argv)


def delete_command(job: Job, settings: KubernetesSettings) -> tuple[str, ...]:
    """Deletes the job, its pods, files and service; waits until the pods have ended."""
    argv = ("--ignore-not-found", "--cascade=foreground", "--wait")
    kinds = "job,service,configmap"
    return (*_kubectl(settings), "delete", kinds, f"--selector={_selector(job)}", *argv)


def _kubectl(settings: KubernetesSettings) -> tuple[str, ...]:
    context = (f"--context={settings.context}",) if settings.context else ()
    return ("kubectl", *context, f"--namespace={settings.namespace}")


def _labels(job: Job) -> dict[str, str]:
    return {"made-by": "trainer", "app.kubernetes.io/instance": job.name}


def _selector(job: Job) -> str:
    return ",".join(f"{name}={value}" for name, value in _labels(job).items())


def _metadata(job: Job, settings: KubernetesSettings) -> dict[str, Any]:
    return {"name": job.name, "namespace": settings.namespace, "labels": _labels(job)}


def _config_map(
    job: Job, settings: KubernetesSettings, files: Mapping[str, str]
) -> dict[str, yaml_text.Value]:
    data = {flag: files[remote_path(path)] for flag, path in job.files}
    size = sum(len(name) + len(content.encode()) for name, content in data.items())
    if size > _MAX_FILES_BYTES:
        raise UserError(
            "the files of a job on Kubernetes may have 1 MiB together: make "
            f"{shlex.join(path for _, path in job.files)} smaller. Received: {size} bytes"
        )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(job, settings),
        "data": data,
    }


def _service(job: Job, settings: KubernetesSettings) -> dict[str, yaml_text.Value]:
    """Without it the pods have no names. Workers look each other up before they are ready."""
    port = kubernetes_pods.PORT
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(job, settings),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": _labels(job),
            "ports": [{"name": "worker", "port": port}],
        },
    }


def _job(
    job: Job, settings: KubernetesSettings, max_hours: float, max_restarts: int
) -> dict[str, yaml_text.Value]:
    metadata = _metadata(job, settings)
    if settings.queue:
        metadata["labels"] = {**metadata["labels"], "kueue.x-k8s.io/queue-name": settings.queue}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            # Kueue resumes the job when there is room for it.
            **({"suspend": True} if settings.queue else {}),
            "completionMode": "Indexed",
            "completions": settings.hosts,
            "parallelism": settings.hosts,
            "backoffLimit": max_restarts * settings.hosts,
            "activeDeadlineSeconds": max(1, round(max_hours * 3600)),
            "ttlSecondsAfterFinished": _KEEP_SECONDS,
            # Two pods with the same index would write to the same work directory.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                # The first rule that matches counts.
                "rules": [
                    _on_exit("FailJob", EXIT_USER_ERROR),
                    _on_exit("Ignore", EXIT_INTERRUPTED),
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                ]
            },
            "template": {
                "metadata": {"labels": _labels(job)},
                "spec": kubernetes_pods.pod(
                    job,
                    image=settings.image,
                    hosts=settings.hosts,
                    accelerator=settings.accelerator,
                    requests={"cpu": settings.cpu, "memory": settings.memory},
                    spot=settings.spot,
                    service_account=settings.service_account,
                ),
            },
        },
    }


def _on_exit(action: str, status: int) -> dict[str, yaml_text.Value]:
    on_exit: dict[str, yaml_text.Value] = {
        "containerName": kubernetes_pods.CONTAINER,
        "operator": "In",
        "values": [status],
    }
    return {"action": action, "onExitCodes": on_exit}

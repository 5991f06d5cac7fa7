"""The pod of one host: its container, devices, nodes and rights."""

import dataclasses
import json
import shlex
from collections.abc import Mapping, Sequence

from trainer.cloud import strategy, yaml_text
from trainer.cloud.google import accelerators
from trainer.cloud.job import Job, remote_path
from trainer.errors import UserError

CONTAINER = "trainer"
PORT = 2222
# Where the job's files are.
_FOLDER = "/job"
# Seconds to save the state. On spot nodes GKE allows 15 unless the node pool is configured.
_GRACE_SECONDS = 120
# The image's user.
_USER = 10001
# The driver of a TPU locks memory for direct access; value of GKE's documentation, in KiB.
_LOCKED_MEMORY = 68719476736


@dataclasses.dataclass(frozen=True)
class _TPU:
    """A TPU slice with one host, in GKE's terms."""

    accelerator: str
    topology: str
    chips: int


# Source: cloud.google.com/kubernetes-engine/docs/concepts/plan-tpus. GKE does not offer v2.
_TPUS = {
    "v3-8": _TPU("tpu-v3-device", "2x2", 4),
    "v4-8": _TPU("tpu-v4-podslice", "2x2x1", 4),
    "v5litepod-1": _TPU("tpu-v5-lite-podslice", "1x1", 1),
    "v5litepod-4": _TPU("tpu-v5-lite-podslice", "2x2", 4),
    "v5litepod-8": _TPU("tpu-v5-lite-podslice", "2x4", 8),
    "v5p-8": _TPU("tpu-v5p-slice", "2x2x1", 4),
    "v6e-1": _TPU("tpu-v6e-slice", "1x1", 1),
    "v6e-4": _TPU("tpu-v6e-slice", "2x2", 4),
    "v6e-8": _TPU("tpu-v6e-slice", "2x4", 8),
}


@dataclasses.dataclass(frozen=True)
class _Devices:
    """What a pod asks for, and how the job uses it."""

    node_labels: dict[str, str]
    limits: dict[str, int]
    strategy_flags: tuple[str, ...]
    is_tpu: bool = False


def pod(
    job: Job,
    image: str,
    hosts: int,
    accelerator: str,
    requests: Mapping[str, str],
    spot: bool,
    service_account: str,
) -> dict[str, yaml_text.Value]:
    """The specification of a pod.

    Args:
      job: what runs.
      image: contains `trainer`, and a shell if there are several hosts or TPUs.
      hosts: number of pods that train together.
      accelerator: GPU or TPU type; empty: CPUs.
      requests: quantities of cpu and memory; an empty one is not requested.
      spot: whether to run on spot nodes.
      service_account: empty: the namespace's default.

    Raises:
      UserError: if the accelerator is unknown or has several hosts, or the job cannot run on it.
    """
    devices = _devices(job, hosts, accelerator)
    items: list[yaml_text.Value] = [
        {"key": flag, "path": remote_path(path)} for flag, path in job.files
    ]
    labels = dict(devices.node_labels)
    tolerations: list[yaml_text.Value] = []
    if spot:
        labels["cloud.google.com/gke-spot"] = "true"
        # Clusters are advised to give spot nodes this taint.
        tolerations.append(
            {"key": "cloud.google.com/gke-spot", "operator": "Exists", "effect": "NoSchedule"}
        )
    return {
        "restartPolicy": "Never",
        **({"subdomain": job.name} if hosts > 1 else {}),
        **({"serviceAccountName": service_account} if service_account else {}),
        # The job does not use the Kubernetes API.
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        **({"nodeSelector": labels} if labels else {}),
        **({"tolerations": tolerations} if tolerations else {}),
        "securityContext": _user(devices.is_tpu),
        "containers": [_container(job, image, hosts, devices, requests)],
        "volumes": [
            {"name": "files", "configMap": {"name": job.name, "items": items}},
            # The default of container runtimes is 64 MB.
            {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
        ],
    }


def _container(
    job: Job, image: str, hosts: int, devices: _Devices, requests: Mapping[str, str]
) -> dict[str, yaml_text.Value]:
    command = _command(job.name, hosts, devices.is_tpu)
    requested = {name: quantity for name, quantity in requests.items() if quantity}
    capabilities: dict[str, yaml_text.Value] = {"drop": ["ALL"]}
    if devices.is_tpu:
        capabilities["add"] = ["SYS_RESOURCE"]
    resources: dict[str, yaml_text.Value] = {
        **({"requests": requested} if requested else {}),
        **({"limits": devices.limits} if devices.limits else {}),
    }
    return {
        "name": CONTAINER,
        "image": image,
        "command": [_unexpanded(word) for word in command],
        "args": [_unexpanded(word) for word in job.argv(_FOLDER, devices.strategy_flags)],
        "workingDir": _FOLDER,
        # Without a name in the image's /etc/passwd, programs look at these.
        "env": [
            {"name": "HOME", "value": "/tmp"},
            {"name": "USER", "value": "trainer"},
            {"name": "PYTHONUNBUFFERED", "value": "1"},
        ],
        **({"ports": [{"containerPort": PORT}]} if hosts > 1 else {}),
        **({"resources": resources} if resources else {}),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": capabilities},
        "volumeMounts": [
            {"name": "files", "mountPath": _FOLDER, "readOnly": True},
            {"name": "shared-memory", "mountPath": "/dev/shm"},
        ],
    }


def _devices(job: Job, hosts: int, accelerator: str) -> _Devices:
    if not accelerator:
        return _Devices({}, {}, strategy.gpu_or_cpu(job, hosts, 0))
    if accelerator.startswith("nvidia-"):
        gpus = accelerators.gpus(accelerator)
        return _Devices(
            {"cloud.google.com/gke-accelerator": gpus.kind},
            {"nvidia.com/gpu": gpus.count},
            strategy.gpu_or_cpu(job, hosts, gpus.count),
        )
    if accelerator not in _TPUS:
        raise UserError(
            "accelerator must be a GPU, as nvidia-l4:2, or a TPU slice with one host, "
            f"{' | '.join(_TPUS)}. Received: {accelerator!r}"
        )
    tpu = _TPUS[accelerator]
    return _Devices(
        {
            "cloud.google.com/gke-tpu-accelerator": tpu.accelerator,
            "cloud.google.com/gke-tpu-topology": tpu.topology,
        },
        {"google.com/tpu": tpu.chips},
        strategy.tpu(job, hosts, accelerator),
        is_tpu=True,
    )


def _user(is_tpu: bool) -> dict[str, yaml_text.Value]:
    """TPU devices belong to root, and only root may lock more memory."""
    user: dict[str, yaml_text.Value] = {
        "runAsUser": 0 if is_tpu else _USER,
        "runAsGroup": 0 if is_tpu else _USER,
        "runAsNonRoot": not is_tpu,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return user


def _command(name: str, hosts: int, is_tpu: bool) -> Sequence[str]:
    """`trainer`, in a shell if something must be set first: TF_CONFIG or the memory limit.

    Kubernetes sets JOB_COMPLETION_INDEX in every pod of an Indexed Job.
    """
    if is_tpu:
        # A runtime without a limit refuses to set one.
        return ("sh", "-c", f'ulimit -l {_LOCKED_MEMORY} || true; exec trainer "$@"', "trainer")
    if hosts == 1:
        return ("trainer",)
    workers = [f"{name}-{number}.{name}:{PORT}" for number in range(hosts)]
    before, after = json.dumps(
        {"cluster": {"worker": workers}, "task": {"type": "worker", "index": "INDEX"}}
    ).split('"INDEX"')
    tf_config = f'{shlex.quote(before)}"$JOB_COMPLETION_INDEX"{shlex.quote(after)}'
    return ("sh", "-c", f'exec env TF_CONFIG={tf_config} trainer "$@"', "trainer")


def _unexpanded(word: str) -> str:
    """Kubernetes replaces $(NAME) in commands, and $$ by $."""
    return word.replace("$", "$$")

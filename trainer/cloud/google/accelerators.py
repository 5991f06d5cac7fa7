"""Which accelerators there are, how many hosts they make, and what software they boot.

From the public documentation of Cloud TPU (cloud.google.com/tpu/docs), of GPU machine types
(cloud.google.com/compute/docs/gpus), as of `AS_OF`. A type that came later: add its line.
"""

import dataclasses
import re

from trainer.errors import UserError, unknown_name

AS_OF = "2025-10"


@dataclasses.dataclass(frozen=True)
class TPU:
    """A slice.

    Attributes:
      accelerator_type: as gcloud names it.
      hosts: virtual machines that it is made of; more than one is a pod slice.
      runtime_version: what the machines boot.
    """

    accelerator_type: str
    hosts: int
    runtime_version: str


@dataclasses.dataclass(frozen=True)
class GPUs:
    """GPUs of one machine: their type, how many, and the machine type that holds them."""

    kind: str
    count: int
    machine_type: str


@dataclasses.dataclass(frozen=True)
class _Family:
    sizes: tuple[int, ...]
    # Up to so many units (cores or chips, as the name counts them) are one host.
    one_host: int
    # Units of each host of a pod slice.
    pod_host: int
    runtime_version: str


_CHIP_SIZES = (1, 4, 8, 16, 32, 64, 128, 256)
_TPU_FAMILIES = {
    "v2": _Family((8, 32, 128, 256, 512), 8, 8, "tpu-ubuntu2204-base"),
    "v3": _Family((8, 32, 64, 128, 256, 512, 1024, 2048), 8, 8, "tpu-ubuntu2204-base"),
    "v4": _Family(tuple(8 * 2**n for n in range(10)), 8, 8, "tpu-ubuntu2204-base"),
    "v5litepod": _Family(_CHIP_SIZES, 8, 4, "v2-alpha-tpuv5-lite"),
    "v5p": _Family(tuple(8 * 2**n for n in range(10)), 8, 8, "v2-alpha-tpuv5"),
    "v6e": _Family(_CHIP_SIZES, 8, 4, "v2-alpha-tpuv6e"),
}
# A pod's hosts must already run TensorFlow's server, which these versions bring.
_POD_RUNTIME = re.compile(r"tpu-vm-tf-\d+\.\d+\.\d+-pod(-pjrt)?")

# Machine types that come with their GPUs, and how many; the first of a count is the default.
_MACHINES = {
    "nvidia-tesla-t4": {"n1-standard-8": 1, "n1-standard-16": 2, "n1-standard-32": 4},
    "nvidia-tesla-v100": {
        "n1-standard-8": 1,
        "n1-standard-16": 2,
        "n1-standard-32": 4,
        "n1-standard-64": 8,
    },
    "nvidia-l4": {
        "g2-standard-8": 1,
        "g2-standard-4": 1,
        "g2-standard-12": 1,
        "g2-standard-16": 1,
        "g2-standard-32": 1,
        "g2-standard-24": 2,
        "g2-standard-48": 4,
        "g2-standard-96": 8,
    },
    "nvidia-tesla-a100": {
        "a2-highgpu-1g": 1,
        "a2-highgpu-2g": 2,
        "a2-highgpu-4g": 4,
        "a2-highgpu-8g": 8,
        "a2-megagpu-16g": 16,
    },
    "nvidia-a100-80gb": {
        "a2-ultragpu-1g": 1,
        "a2-ultragpu-2g": 2,
        "a2-ultragpu-4g": 4,
        "a2-ultragpu-8g": 8,
    },
    "nvidia-h100-80gb": {
        "a3-highgpu-1g": 1,
        "a3-highgpu-2g": 2,
        "a3-highgpu-4g": 4,
        "a3-highgpu-8g": 8,
    },
}


def tpu(accelerator: str, runtime_version: str = "") -> TPU:
    """The TPU slice of that type.

    Raises:
      UserError: if the table has no such type, or the type no such runtime version.
    """
    name, _, size = accelerator.partition("-")
    family = _TPU_FAMILIES.get(name)
    if family is None:
        raise unknown_name(f"TPU version (v5e is v5litepod) as of {AS_OF}", name, _TPU_FAMILIES)
    if size not in map(str, family.sizes):
        known = [f"{name}-{one}" for one in family.sizes]
        raise unknown_name(f"TPU type as of {AS_OF}", accelerator, known)
    units = int(size)
    hosts = 1 if units <= family.one_host else units // family.pod_host
    if hosts > 1:
        if not _POD_RUNTIME.fullmatch(runtime_version):
            raise UserError(
                f"{accelerator} is a pod slice of {hosts} hosts: runtime_version must be a "
                "TensorFlow one for pods, as tpu-vm-tf-X.Y.Z-pod-pjrt, of the version the job "
                f"runs (table as of {AS_OF}). Received: {runtime_version!r}"
            )
    elif runtime_version not in ("", family.runtime_version):
        raise unknown_name(
            f"runtime_version for {accelerator} as of {AS_OF}",
            runtime_version,
            [family.runtime_version],
        )
    return TPU(accelerator, hosts, runtime_version or family.runtime_version)


def gpus(accelerator: str, machine_type: str = "") -> GPUs:
    """The GPUs of one machine, from `nvidia-l4` or `nvidia-l4:2` and a machine type if given.

    Raises:
      UserError: if the table has no such GPU, count or machine type.
    """
    kind, colon, count = accelerator.partition(":")
    if kind not in _MACHINES:
        raise unknown_name(f"GPU as of {AS_OF}", kind, _MACHINES)
    machines = _MACHINES[kind]
    if machine_type and machine_type not in machines:
        raise unknown_name(f"machine_type for {kind} as of {AS_OF}", machine_type, machines)
    if not colon:
        machine_type = machine_type or next(iter(machines))
        return GPUs(kind, machines[machine_type], machine_type)
    fitting = [
        machine
        for machine, number in machines.items()
        if str(number) == count and machine_type in ("", machine)
    ]
    if not fitting:
        numbers = {machines[machine_type]} if machine_type else set(machines.values())
        counts = " or ".join(map(str, sorted(numbers)))
        raise UserError(
            f"{machine_type or kind} comes with {counts} GPUs (table as of {AS_OF}). "
            f"Received: {accelerator!r}"
        )
    return GPUs(kind, int(count), fitting[0])

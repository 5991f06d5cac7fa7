"""Tables of TPU and GPU types: their hosts, machine types and software versions.

Sources: cloud.google.com/tpu/docs and cloud.google.com/compute/docs/gpus, as of `AS_OF`. To
support a newer type, add a line.
"""

import dataclasses
import re

from trainer.errors import UserError, unknown_name

AS_OF = "2025-10"


@dataclasses.dataclass(frozen=True)
class TPU:
    """A TPU slice.

    Attributes:
      accelerator_type: gcloud's name for it.
      hosts: number of virtual machines; a slice with more than one is a pod slice.
      runtime_version: the software version of the machines.
    """

    accelerator_type: str
    hosts: int
    runtime_version: str


@dataclasses.dataclass(frozen=True)
class GPUs:
    """The GPUs of one machine: type, count and machine type."""

    kind: str
    count: int
    machine_type: str


@dataclasses.dataclass(frozen=True)
class _Family:
    sizes: tuple[int, ...]
    # The largest slice with one host, in the units of the name: cores or chips.
    max_units_on_one_host: int
    # Units per host of a pod slice.
    units_per_pod_host: int
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
# The hosts of a pod must run TensorFlow's server, which these versions include.
_POD_RUNTIME = re.compile(r"tpu-vm-tf-\d+\.\d+\.\d+-pod(-pjrt)?")

# Machine types by GPU, with the number of GPUs; the first with a given number is the default.
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
    """The TPU slice of a type.

    Raises:
      UserError: if the type is unknown, or does not support the runtime version.
    """
    name, _, size = accelerator.partition("-")
    family = _TPU_FAMILIES.get(name)
    if family is None:
        raise unknown_name(f"TPU version (v5e is v5litepod) as of {AS_OF}", name, _TPU_FAMILIES)
    if size not in map(str, family.sizes):
        known = [f"{name}-{one}" for one in family.sizes]
        raise unknown_name(f"TPU type as of {AS_OF}", accelerator, known)
    units = int(size)
    hosts = 1 if units <= family.max_units_on_one_host else units // family.units_per_pod_host
    if hosts > 1:
        if not _POD_RUNTIME.fullmatch(runtime_version):
            raise UserError(
                f"{accelerator} is a pod slice of {hosts} hosts: set runtime_version to a "
                "TensorFlow version for pods, tpu-vm-tf-X.Y.Z-pod-pjrt, with the version of "
                f"TensorFlow that the job uses (table as of {AS_OF}). "
                f"Received: {runtime_version!r}"
            )
    elif runtime_version not in ("", family.runtime_version):
        raise unknown_name(
            f"runtime_version for {accelerator} as of {AS_OF}",
            runtime_version,
            [family.runtime_version],
        )
    return TPU(accelerator, hosts, runtime_version or family.runtime_version)


def gpus(accelerator: str, machine_type: str = "") -> GPUs:
    """The GPUs of one machine.

    Args:
      accelerator: type and optionally count, for example `nvidia-l4` or `nvidia-l4:2`.
      machine_type: empty for the default of that type and count.

    Raises:
      UserError: if the GPU, count or machine type is unknown.
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
            f"{machine_type or kind} has {counts} GPUs (table as of {AS_OF}). "
            f"Received: {accelerator!r}"
        )
    return GPUs(kind, int(count), fitting[0])

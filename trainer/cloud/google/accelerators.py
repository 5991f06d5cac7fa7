"""Tables of TPU and GPU types: their hosts, APIs, machine types and software versions.

Each table has a date and a source. What a table does not know is used as given, with a warning:
Google Cloud may offer it. Only what cannot work is refused.
"""

import dataclasses
import re

from trainer.compat.tpu import GENERATIONS, ONE_HOST, Api, api
from trainer.errors import UserError

# https://cloud.google.com/tpu/docs/runtimes; the sizes from the page of each generation.
TPUS_AS_OF = "2025-09"
# https://cloud.google.com/compute/docs/gpus
GPUS_AS_OF = "2025-10"


@dataclasses.dataclass(frozen=True)
class TPU:
    """A TPU with one host.

    Attributes:
      accelerator_type: gcloud's name for it.
      hosts: number of virtual machines.
      runtime_version: the software version of the machines.
      api: the API through which TensorFlow uses it.
      warnings: what the table does not know about it, one line each.
    """

    accelerator_type: str
    hosts: int
    runtime_version: str
    api: Api
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class GPUs:
    """The GPUs of one machine.

    Attributes:
      kind: gcloud's name of the GPU type.
      count: number of GPUs.
      machine_type: of the virtual machine.
      warnings: what the table does not know about them, one line each.
    """

    kind: str
    count: int
    machine_type: str
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Slices:
    sizes: tuple[int, ...]
    # Without TensorFlow, which the job installs.
    runtime_version: str


# The slices with one host, in the units of the name.
_SLICES = {
    "v2": _Slices((8,), "tpu-ubuntu2204-base"),
    "v3": _Slices((8,), "tpu-ubuntu2204-base"),
    "v4": _Slices((8,), "tpu-ubuntu2204-base"),
    "v5litepod": _Slices((1, 4, 8), "v2-alpha-tpuv5-lite"),
    "v5p": _Slices((8,), "v2-alpha-tpuv5"),
    "v6e": _Slices((1, 4, 8), "v2-alpha-tpuv6e"),
}
_TPU_NAME = re.compile(r"([a-z]*\d+[a-z]*)-([1-9]\d*)")
# With TensorFlow of that version, for one host. Their names end with the API, and from 2.18 with
# the generations: tpu-vm-tf-2.18.0-pjrt-v5e-and-v6. `se` (stream executor) is the classic API.
_WITH_TENSORFLOW = re.compile(r"tpu-vm-tf-\d+\.\d+\.\d+-(se|pjrt)(-[a-z0-9-]+)?")
_API_OF_SUFFIX: dict[str, Api] = {"se": "classic", "pjrt": "pjrt"}

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
_GPU_NAME = re.compile(r"([a-z][a-z0-9-]*)(?::([1-9]\d*))?")


def tpu(accelerator: str, runtime_version: str = "") -> TPU:
    """Returns the TPU of an accelerator type.

    Args:
      accelerator: gcloud's accelerator type, for example `v6e-8`.
      runtime_version: empty for the default of a known generation.

    Raises:
      UserError: if the name is malformed, the TPU has several hosts, or its generation is
        unknown and there is no runtime_version.
    """
    match = _TPU_NAME.fullmatch(accelerator)
    if match is None:
        raise UserError(
            "a TPU type is a generation and a size, for example v5litepod-8 or v6e-8. "
            f"Received: {accelerator!r}"
        )
    name, size = match[1], int(match[2])
    generation, slices = GENERATIONS.get(name), _SLICES.get(name)
    if generation is None or slices is None:
        return _unknown_tpu(accelerator, name, runtime_version)
    if size > generation.largest_on_one_host:
        raise UserError(
            f"{ONE_HOST}: take {name}-{generation.largest_on_one_host} or smaller. "
            f"Received: {accelerator!r}"
        )
    warnings = []
    if size not in slices.sizes:
        known = ", ".join(f"{name}-{one}" for one in slices.sizes)
        warnings.append(_unknown_to(TPUS_AS_OF, f"the TPU type {accelerator}, only {known}"))
    with_tensorflow = _WITH_TENSORFLOW.fullmatch(runtime_version)
    is_known = with_tensorflow and _API_OF_SUFFIX[with_tensorflow[1]] == generation.api
    if runtime_version not in ("", slices.runtime_version) and not is_known:
        text = f"the runtime_version {runtime_version} for {accelerator}"
        warnings.append(_unknown_to(TPUS_AS_OF, f"{text}, only {slices.runtime_version}"))
    return TPU(
        accelerator, 1, runtime_version or slices.runtime_version, generation.api, tuple(warnings)
    )


def gpus(accelerator: str, machine_type: str = "") -> GPUs:
    """Returns the GPUs of one machine.

    Args:
      accelerator: type and optionally count, for example `nvidia-l4` or `nvidia-l4:2`.
      machine_type: empty for the default of that type and count.

    Raises:
      UserError: if the name is malformed, or the table has no machine type for the GPU and count
        and none is given.
    """
    match = _GPU_NAME.fullmatch(accelerator)
    if match is None:
        raise UserError(
            "a GPU is a type and optionally a count, for example nvidia-l4 or nvidia-l4:2. "
            f"Received: {accelerator!r}"
        )
    kind, count = match[1], int(match[2] or 0)
    machines = _MACHINES.get(kind, {})
    if machine_type:
        return _gpus_of(kind, count, machine_type, machines)
    fitting = [machine for machine, number in machines.items() if count in (0, number)]
    if not fitting:
        known = " or ".join(map(str, sorted(set(machines.values()))))
        text = f"{kind} has {known} GPUs" if machines else f"known GPUs: {', '.join(_MACHINES)}"
        raise UserError(
            f"set machine_type, which the table of {GPUS_AS_OF} does not have for this GPU "
            f"({text}). Received: {accelerator!r}"
        )
    return GPUs(kind, machines[fitting[0]], fitting[0])


def _unknown_tpu(accelerator: str, name: str, runtime_version: str) -> TPU:
    text = f"the TPU generation {name}, only {', '.join(_SLICES)} (v5e is v5litepod)"
    warning = _unknown_to(TPUS_AS_OF, text)
    if not runtime_version:
        raise UserError(f"set runtime_version: {warning}. Received: {accelerator!r}")
    return TPU(accelerator, 1, runtime_version, api(accelerator), (warning,))


def _gpus_of(kind: str, count: int, machine_type: str, machines: dict[str, int]) -> GPUs:
    known = machines.get(machine_type)
    if known and count in (0, known):
        return GPUs(kind, known, machine_type)
    text = f"{count or 1} {kind} in {machine_type}"
    return GPUs(kind, count or 1, machine_type, (_unknown_to(GPUS_AS_OF, text),))


def _unknown_to(as_of: str, text: str) -> str:
    return f"the table of {as_of} does not know {text}"

"""The division of this machine among parallel trials, or the parallel runs of several seeds."""

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

# Cluster variables that trials must not inherit.
_NOT_INHERITED = ("TF_CONFIG", "KERASTUNER_", "CLOUD_ML_")


@dataclasses.dataclass(frozen=True)
class Resources:
    """The cores or the GPU of one trial.

    Attributes:
      cores: indices of CPU cores; empty: all.
      accelerator: the value of CUDA_VISIBLE_DEVICES; "" leaves it unchanged.
      is_shared: whether another trial uses the accelerator too.
    """

    cores: tuple[int, ...] = ()
    accelerator: str = ""
    is_shared: bool = False

    def __str__(self) -> str:
        if self.accelerator:
            return f"GPU {self.accelerator}{' (shared)' if self.is_shared else ''}"
        return f"cores {','.join(map(str, self.cores))}" if self.cores else "all cores"

    def environment(self, outer: Mapping[str, str]) -> dict[str, str]:
        """Returns the environment of a trial's process."""
        inner = {
            name: value for name, value in outer.items() if not name.startswith(_NOT_INHERITED)
        }
        if self.accelerator:
            inner["CUDA_VISIBLE_DEVICES"] = self.accelerator
        if self.is_shared:
            # By default the first process on a GPU takes nearly all of its memory.
            inner["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        return inner


def divide_machine(parallel_trials: int) -> list[Resources]:
    """Returns the resources of each parallel trial; 0 trials: one per GPU, or a single one."""
    return divide(parallel_trials, available_accelerators(), available_cores())


def divide(
    parallel_trials: int, gpus: Sequence[str], processor_cores: Sequence[int]
) -> list[Resources]:
    """Divides the given GPUs, or else the given cores."""
    number = parallel_trials or max(1, len(gpus))
    if number == 1:
        return [Resources()]
    if gpus:
        names = [gpus[slot % len(gpus)] for slot in range(number)]
        return [Resources(accelerator=name, is_shared=names.count(name) > 1) for name in names]
    each = len(processor_cores) // number
    return [
        Resources(cores=tuple(processor_cores[slot * each : (slot + 1) * each]))
        for slot in range(number)
    ]


def available_cores() -> list[int]:
    """Returns the CPU cores that this process may use; empty if the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def available_accelerators() -> list[str]:
    """Returns the GPUs that this process may use, as named in CUDA_VISIBLE_DEVICES."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name for name in chosen.split(",") if name not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return [str(number) for number, line in enumerate(listed.stdout.splitlines()) if "GPU" in line]

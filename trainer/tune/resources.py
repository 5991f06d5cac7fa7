"""What of this machine each of several trials side by side may use."""

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

# What says how a job is spread, and to whom it reports; a trial is a job of its own.
_OURS_ALONE = ("TF_CONFIG", "KERASTUNER_", "CLOUD_ML_")


@dataclasses.dataclass(frozen=True)
class Share:
    """One trial's part of the machine.

    Attributes:
      cores: numbers of processor cores; none: all.
      accelerator: what CUDA_VISIBLE_DEVICES becomes; "" leaves it.
    """

    cores: tuple[int, ...] = ()
    accelerator: str = ""

    def __str__(self) -> str:
        if self.accelerator:
            return f"GPU {self.accelerator}"
        return f"cores {','.join(map(str, self.cores))}" if self.cores else "all cores"

    def environment(self, outer: Mapping[str, str]) -> dict[str, str]:
        """The environment of a trial's process."""
        inner = {name: value for name, value in outer.items() if not name.startswith(_OURS_ALONE)}
        if self.accelerator:
            inner["CUDA_VISIBLE_DEVICES"] = self.accelerator
        return inner


def shares(parallel_trials: int) -> list[Share]:
    """The machine divided among trials; 0 of them: one an accelerator, or just one."""
    return divide(parallel_trials, accelerators(), cores())


def divide(
    parallel_trials: int, gpus: Sequence[str], processor_cores: Sequence[int]
) -> list[Share]:
    """`shares` of what is given."""
    number = parallel_trials or max(1, len(gpus))
    if number == 1:
        return [Share()]
    if gpus:
        return [Share(accelerator=gpus[slot % len(gpus)]) for slot in range(number)]
    each = len(processor_cores) // number
    return [
        Share(cores=tuple(processor_cores[slot * each : (slot + 1) * each]))
        for slot in range(number)
    ]


def cores() -> list[int]:
    """The processor cores that this process may use, where the system says so."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def accelerators() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name for name in chosen.split(",") if name not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return [str(number) for number, line in enumerate(listed.stdout.splitlines()) if "GPU" in line]

"""The machine and the versions behind a measurement."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from turns import PEERS

# Flags of /proc/cpuinfo; the last two mean that the processor multiplies bfloat16.
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def multiplies_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16."""
    return not _BFLOAT16_FLAGS.isdisjoint(_cpuinfo("flags").split())


def describe() -> dict[str, Any]:
    """The machine, for the record."""
    flags = _cpuinfo("flags").split()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "processor": _cpuinfo("model name") or platform.machine(),
        "cores": cores(),
        "flags": {flag: flag in flags for flag in _FLAGS},
        "load_average": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": _versions(),
    }


def _cpuinfo(key: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def _versions() -> dict[str, str]:
    ours = {name: importlib.metadata.version(name) for name in ("tensorflow", "tf_keras", "keras")}
    command = [str(PEERS), "-c", "import importlib.metadata as m; print(m.version('torch'))"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {**ours, "torch": done.stdout.strip()}

"""Checks that data fits into memory before it is allocated."""

import resource
from pathlib import Path

import psutil

from trainer.errors import UserError

# The rest is left to the network, the batches and other processes.
_USABLE_FRACTION = 0.8
_CONTROL_GROUP = Path("/sys/fs/cgroup")


def usable() -> int:
    """Bytes that data may take: 80% of what is available.

    What is available is limited by the machine, by the control group of the process, as in a
    container, and by the limit of its address space (`ulimit -v`).
    """
    available = [psutil.virtual_memory().available, *_left_in_control_group()]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        available.append(limit - psutil.Process().memory_info().vms)
    return max(0, int(min(available) * _USABLE_FRACTION))


def _left_in_control_group() -> list[int]:
    """Bytes up to the limits of the control groups that the process is in, version 2 or 1."""
    files = [
        (_CONTROL_GROUP / "memory.max", _CONTROL_GROUP / "memory.current"),
        (
            _CONTROL_GROUP / "memory" / "memory.limit_in_bytes",
            _CONTROL_GROUP / "memory" / "memory.usage_in_bytes",
        ),
    ]
    groups = Path("/proc/self/cgroup")
    if groups.exists():
        for line in groups.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0":
                folder = _CONTROL_GROUP / path.lstrip("/")
                files.append((folder / "memory.max", folder / "memory.current"))
            elif "memory" in controllers.split(","):
                folder = _CONTROL_GROUP / "memory" / path.lstrip("/")
                files.append((folder / "memory.limit_in_bytes", folder / "memory.usage_in_bytes"))
    left = []
    for limit, used in files:
        if limit.exists() and (text := limit.read_text().strip()) != "max":
            left.append(int(text) - int(used.read_text()))
    return left


def fits(needed: int) -> bool:
    """Whether an allocation of `needed` bytes takes at most what is usable."""
    return needed <= usable()


def check_fits(needed: int, remedy: str, what: str) -> None:
    """Checks that an allocation takes at most what is usable.

    Args:
      needed: bytes.
      remedy: what the user can do if it does not fit.
      what: the user's name for the data.

    Raises:
      UserError: if it does not fit; the message has both sizes.
    """
    limit = usable()
    if needed > limit:
        raise UserError(
            f"{what} needs {needed / 2**30:.1f} GiB of memory, but only {limit / 2**30:.1f} GiB "
            f"are usable; {remedy}"
        )

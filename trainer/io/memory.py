"""Checks that data fits into memory before it is allocated."""

import resource
from collections.abc import Iterator
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
    """Bytes up to the limits of the control groups that the process is in, version 2 or 1.

    Pages of files that the kernel can drop are not counted as used.
    """
    return [
        limit - used
        for folder, names in _control_groups()
        for limit, used in _limit_and_use(folder, *names)
    ]


def _control_groups() -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Folders of memory limits, with the names of the limit, the use and the droppable pages."""
    v2 = ("memory.max", "memory.current", "inactive_file")
    v1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    # In a container the group of the process is the root of what it sees.
    yield _CONTROL_GROUP, v2
    yield _CONTROL_GROUP / "memory", v1
    groups = Path("/proc/self/cgroup")
    for line in groups.read_text().splitlines() if groups.exists() else ():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            yield _CONTROL_GROUP / path.lstrip("/"), v2
        elif "memory" in controllers.split(","):
            yield _CONTROL_GROUP / "memory" / path.lstrip("/"), v1


def _limit_and_use(folder: Path, limit: str, use: str, droppable: str) -> Iterator[tuple[int, int]]:
    if not (folder / limit).exists() or (text := (folder / limit).read_text().strip()) == "max":
        return
    pages = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    yield int(text), int((folder / use).read_text()) - int(pages.get(droppable, 0))


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

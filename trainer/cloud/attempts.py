"""The attempts of a job: a new one, the last one, and how long one may cost money."""

import re
import time
from collections.abc import Mapping

from trainer.cloud.records import Attempt, JobRecord
from trainer.cloud.target import Machines


def affordable_seconds(job: JobRecord, machines: Machines) -> float:
    """How long the machines may run for --max_cost; the job's time limit if there is no limit."""
    if not job.max_cost or not machines.hourly_cost:
        return 3600 * job.max_hours
    return min(3600 * job.max_hours, 3600 * job.max_cost / machines.hourly_cost)


def new_attempt(
    job: JobRecord,
    machines: Machines,
    number: int,
    max_seconds: float,
    restarts: int = 0,
    progress: str = "",
) -> Attempt:
    """The record of an attempt that begins now; its place is the next in turn."""
    name = f"{job.id}-{number}"
    hosts = machines.hosts
    return Attempt(
        number=number,
        name=name,
        place=machines.places[(number - 1) % len(machines.places)],
        machines=tuple(f"{name}-{host}" for host in range(hosts)) if hosts > 1 else (name,),
        created=time.time(),
        deadline=job.deadline,
        max_seconds=max_seconds,
        restarts=restarts,
        progress=progress,
    )


def last_attempt(names: Mapping[str, int], root: str) -> int:
    """The number of the last attempt; 0 if there is none."""
    found = (re.match(rf"{re.escape(root)}/attempts/(\d+)\.json$", name) for name in names)
    return max((int(match[1]) for match in found if match), default=0)

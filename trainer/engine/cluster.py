"""Parses TF_CONFIG, which lists the hosts of a distributed run. Does not import TensorFlow."""

import dataclasses
import json
import os
from collections.abc import Mapping

from trainer.errors import UserError

# The jobs whose processes train. A parameter server or an evaluator does not.
_TRAINING_JOBS = ("chief", "worker")


@dataclasses.dataclass(frozen=True)
class ClusterSpec:
    """The content of TF_CONFIG.

    Attributes:
      jobs: addresses, `host:port`, by job name: chief, worker, ….
      task_type: the job of this process.
      task_index: the index of this process in its job.
    """

    jobs: Mapping[str, tuple[str, ...]]
    task_type: str
    task_index: int

    @property
    def training_hosts(self) -> tuple[str, ...]:
        """The addresses of the processes that train together, the chief first."""
        return tuple(host for job in _TRAINING_JOBS for host in self.jobs.get(job, ()))

    @property
    def num_processes(self) -> int:
        """The number of processes in all jobs."""
        return sum(map(len, self.jobs.values()))

    @property
    def worker(self) -> int:
        """The number of this process among the `training_hosts`."""
        before = len(self.jobs.get("chief", ())) if self.task_type == "worker" else 0
        return before + self.task_index

    @property
    def other_workers(self) -> dict[int, str]:
        """The addresses of the other training hosts by number."""
        hosts = enumerate(self.training_hosts)
        return {number: host for number, host in hosts if number != self.worker}

    @property
    def is_chief(self) -> bool:
        """Whether this process is the chief, or worker 0 of a cluster without one."""
        has_chief = "chief" in self.jobs
        return self.task_type == ("chief" if has_chief else "worker") and self.task_index == 0


def parse(text: str) -> ClusterSpec:
    """Parses the value of TF_CONFIG.

    Raises:
      UserError: if it is not valid JSON, does not contain this task, or contains an address
        that is malformed or duplicated.
    """
    try:
        config = json.loads(text)
        jobs = {job: tuple(hosts) for job, hosts in config["cluster"].items()}
        task_type, task_index = str(config["task"]["type"]), int(config["task"]["index"])
        if jobs and not 0 <= task_index < len(jobs[task_type]):
            raise ValueError(f"task index {task_index} of {len(jobs[task_type])}")
        cluster = ClusterSpec(jobs, task_type, task_index)
        _check_addresses(cluster.training_hosts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"TF_CONFIG is invalid ({type(error).__name__}: {error}); unset it, or set it to a "
            f"JSON object with `cluster` and `task`. Received: {text!r}"
        ) from None
    return cluster


def from_environment(environment: Mapping[str, str] = os.environ) -> ClusterSpec | None:
    """Parses the environment variable TF_CONFIG; returns None if it is unset or empty.

    Raises:
      UserError: if TF_CONFIG is invalid.
    """
    text = environment.get("TF_CONFIG", "")
    return parse(text) if text else None


def training_hosts() -> tuple[str, ...]:
    """The addresses of the processes that train together; empty without TF_CONFIG.

    Raises:
      UserError: if TF_CONFIG is invalid.
    """
    cluster = from_environment()
    return cluster.training_hosts if cluster else ()


def _check_addresses(addresses: tuple[str, ...]) -> None:
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"expected an address host:port, got {address!r}")
        if addresses.count(address) > 1:
            raise ValueError(f"duplicate address {address!r}")

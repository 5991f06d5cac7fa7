"""The hosts of a run, as TF_CONFIG names them. Needs no TensorFlow."""

import json
import os
from collections.abc import Mapping, Sequence

from trainer.errors import UserError

# The jobs whose processes train; a parameter server or an evaluator takes no part.
_TRAINING_JOBS = ("chief", "worker")


def training_hosts() -> list[str]:
    """The `host:port` of every process that trains together; empty without TF_CONFIG.

    Raises:
      UserError: if TF_CONFIG is no JSON, names no such task, or a process has no address or
        that of another.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return []
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        addresses = cluster[task["type"]]
        if not 0 <= int(task["index"]) < len(addresses):
            raise ValueError(f"task index {task['index']} of {len(addresses)}")
        return _hosts(cluster)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"TF_CONFIG is wrong ({type(error).__name__}: {error}); unset it, or make it JSON with "
            f"`cluster` and `task`. Received: {text!r}"
        ) from None


def _hosts(cluster: Mapping[str, Sequence[str]]) -> list[str]:
    hosts: list[str] = []
    for address in (address for job in _TRAINING_JOBS for address in cluster.get(job, ())):
        if not address.rpartition(":")[0] or not address.rpartition(":")[2].isdigit():
            raise ValueError(f"an address is host:port, not {address!r}")
        if address in hosts:
            raise ValueError(f"{address!r} is named twice")
        hosts.append(address)
    return hosts

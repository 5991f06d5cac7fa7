"""The table of targets."""

from trainer.cloud import docker, kubernetes, skypilot
from trainer.cloud.google import gpu_vm, tpu_vm, vertex
from trainer.cloud.records import JobRecord
from trainer.cloud.target import Machines

TARGETS = {
    module.TARGET.name: module.TARGET
    for module in (docker, tpu_vm, gpu_vm, vertex, kubernetes, skypilot)
}


def machines_of(job: JobRecord) -> Machines:
    """How the target of a submitted job rents its machines, with the settings of that submission.

    Raises:
      UserError: if this version of the package cannot run the job there.
    """
    target = TARGETS[job.target]
    assert target.machines is not None
    return target.machines(job.task, job.command, target.settings(**job.settings))

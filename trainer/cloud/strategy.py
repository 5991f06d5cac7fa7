"""The strategy flags of a job in containers that a cluster starts."""

from trainer.cloud.google.gpu_vm import strategy_flag
from trainer.cloud.job import Job
from trainer.errors import UserError


def gpu_or_cpu(job: Job, hosts: int, gpus: int) -> tuple[str, ...]:
    """The flags for a number of hosts with a number of GPUs each; none: CPUs.

    Raises:
      UserError: if the job trains an agent and has several hosts.
    """
    if job.task == "rl" and job.command == "train" and hosts > 1:
        raise UserError(f"agents train on one host: use hosts=1. Received: hosts={hosts}")
    if gpus or (hosts > 1 and job.command == "train"):
        return strategy_flag(job.command, hosts, gpus)
    return ("--strategy=cpu",)


def tpu(job: Job, hosts: int, accelerator: str) -> tuple[str, ...]:
    """The flags for a TPU slice with one host.

    Raises:
      UserError: if the job trains an agent, or there are several hosts.
    """
    if job.task == "rl":
        raise UserError(f"agents do not run on TPUs: use a GPU. Received: {accelerator!r}")
    if hosts > 1:
        raise UserError(
            "a TPU slice must have one host here: remove the setting hosts. "
            f"Received: hosts={hosts}"
        )
    return ("--strategy=tpu", "--tpu=local")

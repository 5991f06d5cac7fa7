"""What a VM needs to start a job: its startup script and the values that the script reads."""

import json
from pathlib import Path

from trainer.cloud.google import gcloud
from trainer.cloud.google.machine import startup
from trainer.cloud.records import Attempt, JobRecord

# For the job to save its state and for the machine to report and to delete itself.
_PLATFORM_GRACE_SECONDS = 900


def metadata_flags(kind: str, job: JobRecord, attempt: Attempt) -> tuple[str, ...]:
    """The flags that give a VM its startup script and what it has to run.

    Args:
      kind: the target.
      job: the job.
      attempt: the attempt that the machine belongs to.
    """
    values = {
        "kind": kind,
        "record": job.folder,
        "attempt": attempt.number,
        "name": attempt.name,
        "machines": attempt.machines,
        "deadline": attempt.deadline,
        "max_seconds": attempt.max_seconds,
        "keep": job.keep,
    }
    folder = Path(startup.__file__).parent
    files = {
        "startup-script": folder / "startup.py",
        **{f"trainer-{name}": folder / f"{name}.py" for name in startup.MODULES},
    }
    return (
        f"--metadata={gcloud.dictionary({'trainer-job': json.dumps(values)})}",
        f"--metadata-from-file={','.join(f'{name}={path}' for name, path in files.items())}",
    )


def record_of(metadata: str) -> str:
    """The folder of the records, from a VM's value of `trainer-job`."""
    return str(json.loads(metadata)["record"]) if metadata else ""


def platform_seconds(attempt: Attempt) -> int:
    """The time limit that the platform enforces, after the one that the machine enforces."""
    seconds = min(attempt.deadline - attempt.created, attempt.max_seconds)
    return round(max(seconds, 0.0) + _PLATFORM_GRACE_SECONDS)


def labels(job: JobRecord) -> str:
    """The labels by which `trainer jobs` finds the resources of a job."""
    return f"made-by=trainer,trainer-job={job.id}"

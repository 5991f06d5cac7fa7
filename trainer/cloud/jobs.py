"""Which job may write a work directory, and finding a job by its work directory."""

import time
from collections.abc import Callable, Mapping

from trainer.cloud import records
from trainer.cloud.records import JobRecord
from trainer.cloud.store import Store
from trainer.errors import UserError

_CURRENT = "jobs/current"
_MAX_CLAIMS = 5


def claim(store: Store, job: JobRecord, stage: Callable[[], None]) -> JobRecord:
    """Makes a job the only one that may write its work directory.

    Args:
      store: the work directory.
      job: the new job.
      stage: uploads the job's files; called before the job becomes the current one.

    Returns:
      `job`, or the job of the same command that is running there already.

    Raises:
      UserError: if a job of another command is running there.
      CommandFailed: if the work directory cannot be read or written.
    """
    is_staged = False
    for _ in range(_MAX_CLAIMS):
        generation = store.generation(_CURRENT)
        held = current(store) if generation != "0" else None
        if held is not None and not is_over(store, held):
            if held.digest == job.digest:
                return held
            raise UserError(
                f"the job {held.id} of another command is running in {job.workdir}; follow it "
                f"with: trainer jobs attach {job.workdir}, or stop it with: trainer jobs cancel "
                f"{job.workdir}"
            )
        if not is_staged:
            stage()
            store.write(f"jobs/{job.id}/job.json", records.to_json(job))
            is_staged = True
        if store.replace(_CURRENT, job.id + "\n", generation):
            return job
    raise UserError(f"other submissions keep writing {job.workdir}/{_CURRENT}; try again")


def current(store: Store) -> JobRecord | None:
    """The last job of a work directory; None if it has none."""
    name = store.read(_CURRENT)
    text = store.read(f"jobs/{name.strip()}/job.json") if name else None
    return records.job(text) if text else None


def is_over(store: Store, job: JobRecord) -> bool:
    """Whether a job has ended and nothing is to be done for it any more.

    Machines can end a job while no submission follows it; then no record says so but theirs.
    """
    names = store.names(f"jobs/{job.id}/")
    return f"jobs/{job.id}/end.json" in names


def cancel(store: Store, job: JobRecord) -> None:
    """Asks a job to save its state and to end."""
    store.write(f"jobs/{job.id}/cancel", f"cancelled at {time.strftime('%F %T %Z')}\n")


def attempts(job: JobRecord, names: Mapping[str, int]) -> int:
    """The number of attempts of a job, from the names of its records."""
    return sum(
        name.startswith(f"jobs/{job.id}/attempts/") and name.count("/") == 3 for name in names
    )

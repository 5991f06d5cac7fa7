"""Prints what a submission would run, as a shell script with comments."""

from trainer.cloud import records
from trainer.cloud.attempts import affordable_seconds, new_attempt
from trainer.cloud.commands import Command
from trainer.cloud.google.storage import Bucket
from trainer.cloud.records import JobRecord
from trainer.cloud.target import Machines


def script(job: JobRecord, machines: Machines, archive: Command, path: str, cost: str) -> str:
    """The commands of a submission in order.

    Args:
      job: the job.
      machines: how its target rents machines.
      archive: packs the files of the job into the local file `path`.
      path: that file.
      cost: what is known about the cost.
    """
    bucket = Bucket(job.workdir)
    folder = f"jobs/{job.id}"
    attempt = new_attempt(job, machines, 1, affordable_seconds(job, machines))
    log = f"{job.folder}/attempts/{attempt.number:04}/host-0/log-*"
    lines = [
        f"# {cost}",
        "# The files and the records of the job.",
        archive,
        bucket.upload_command(path, f"{folder}/files.tar.gz"),
        bucket.write_command(f"{folder}/job.json", records.to_json(job)),
        bucket.write_command("jobs/current", f"{job.id}\n", generation="0"),
        bucket.write_command(
            f"{folder}/attempts/{attempt.number:04}.json", records.to_json(attempt), generation="0"
        ),
        "# The machines run the job, report to the bucket and delete themselves.",
        machines.create(job, attempt),
        "# Until the job has ended: the state of the machines, and the output of the job.",
        *machines.describe(attempt),
        Command(("gcloud", "storage", "cat", log)),
    ]
    return "\n".join(map(str, lines))

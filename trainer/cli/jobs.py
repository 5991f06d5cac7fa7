"""`trainer jobs`."""

import os
import sys
from collections.abc import Sequence

from absl import flags as absl_flags

from trainer.cli import flags
from trainer.cloud import following, jobs, listing, records
from trainer.cloud import settings as cloud_settings
from trainer.cloud.command_errors import command_failed
from trainer.cloud.commands import CommandFailed
from trainer.cloud.console import Console
from trainer.cloud.google.storage import Bucket
from trainer.cloud.log import LogReader
from trainer.cloud.records import JobFailed, JobRecord
from trainer.cloud.targets import TARGETS, machines_of
from trainer.engine.preemption import StopRequest
from trainer.errors import UserError, unknown_name
from trainer.io.paths import is_remote
from trainer.io.redaction import redactor

_ACTIONS = ("list", "logs", "attach", "cancel")
USAGE = (
    "trainer jobs list | logs JOB | attach JOB | cancel JOB   "
    "(JOB: a name from the list, or a work directory)"
)
TAKES_CONFIG = False
_CLASSES = {name: target.settings for name, target in TARGETS.items()}


# The settings that determine where jobs are looked for.
_PLACES = ("project", "zone", "region")


def _places(values: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_string(
        "settings", "", "TOML file with settings; empty: cloud.toml if it exists.",
        flag_values=values,
    )  # fmt: skip
    for setting in cloud_settings.fields(_CLASSES.values()):
        if setting.name in _PLACES:
            absl_flags.DEFINE_string(
                setting.name, "", f"Setting: {setting.doc}", flag_values=values
            )


FLAGS = (_places,)


def run(arguments: Sequence[str], started: float) -> None:
    """Lists the jobs of a project, or shows, follows or cancels one of them."""
    del started
    values, positional = flags.parse(FLAGS, arguments)
    action = positional[0] if positional else ""
    if action not in _ACTIONS:
        raise unknown_name("action of trainer jobs", action, _ACTIONS)
    if len(positional) != (1 if action == "list" else 2):
        raise UserError(f"usage: {USAGE}. Received: {' '.join(positional)}")
    console = Console(redactor(os.environ))
    try:
        if action == "list":
            _list(values, console)
        else:
            _run_one(action, positional[1], values, console)
    except CommandFailed as error:
        failed = command_failed(error.command.argv, error.kind, error.message)
        raise UserError(console.redact(str(failed))) from None
    except UserError as error:
        raise UserError(console.redact(str(error))) from None
    except JobFailed as failure:
        console.note(str(failure))
        sys.exit(1)


def _found(values: absl_flags.FlagValues, console: Console) -> list[listing.Listed]:
    """The machines and service jobs of all targets whose place is known.

    Raises:
      CommandFailed: if nothing is found and some target's jobs cannot be listed.
    """
    given = {name: values[name].value for name in _PLACES if values[name].present}
    found: list[listing.Listed] = []
    failures: list[CommandFailed] = []
    for name, target in TARGETS.items():
        if target.listing is None:
            continue
        own = cloud_settings.names(target.settings)
        of_target = {key: value for key, value in given.items() if key in own}
        query = target.listing(cloud_settings.load(values.settings, name, _CLASSES, of_target))
        try:
            found += listing.listed(query)
        except CommandFailed as error:
            failures.append(error)
    # `gcloud compute … list` warns and succeeds where others fail.
    if failures and not found:
        raise failures[0]
    for failure in failures:
        console.note(f"warning: {failure.message}")
    return found


def _list(values: absl_flags.FlagValues, console: Console) -> None:
    rows = [
        (one.id, one.target, one.place, one.state, one.workdir) for one in _found(values, console)
    ]
    if not rows:
        console.note("no jobs; `trainer jobs logs WORKDIR` shows one that has ended")
        return
    table = [("JOB", "TARGET", "PLACE", "STATE", "WORKDIR"), *sorted(rows)]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        console.output("  ".join([*cells, row[4]]).rstrip())


def _run_one(action: str, name: str, values: absl_flags.FlagValues, console: Console) -> None:
    job = _job(name, values, console)
    if action == "logs":
        _logs(job, console)
        return
    machines = machines_of(job)
    with StopRequest() as stop:
        if action == "cancel":
            following.cancel(job, machines, stop, console)
        else:
            following.follow(
                job,
                machines,
                detach=False,
                cancel_on_interrupt=False,
                skip=True,
                stop=stop,
                console=console,
            )
            console.note(f"results: {job.workdir}")


def _job(name: str, values: absl_flags.FlagValues, console: Console) -> JobRecord:
    """The job of a name, or the last one of a work directory.

    Raises:
      UserError: if there is none.
    """
    if is_remote(name):
        job = jobs.current(Bucket(name.rstrip("/")))
        if job is None:
            raise UserError(f"no job was submitted for {name}")
        return job
    found = {one.id: one.workdir for one in _found(values, console)}
    if name not in found:
        error = unknown_name("job; jobs that have ended are found by their work directory", name,
                             found)  # fmt: skip
        raise error
    text = Bucket(found[name]).read(f"jobs/{name}/job.json")
    if text is None:
        raise UserError(f"{found[name]}/jobs/{name} has been removed")
    return records.job(text)


def _logs(job: JobRecord, console: Console) -> None:
    """Shows the whole output of all attempts, and how they ended."""
    bucket = Bucket(job.workdir)
    names = bucket.names(f"jobs/{job.id}/")
    reader = LogReader(bucket, console.output)
    for number in range(1, jobs.attempts(job, names) + 1):
        reader.show(f"jobs/{job.id}/attempts/{number:04}/host-0/", names)
    end = f"jobs/{job.id}/end.json"
    if end in names and (text := bucket.read(end)):
        ended = records.end(text)
        console.note(f"{job.id}: {ended.outcome.value}. {ended.message}".strip())

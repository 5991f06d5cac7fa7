"""`trainer submit`."""

import importlib
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from typing import Any

from absl import flags as absl_flags

from trainer.cli import flags, train
from trainer.cloud import commands, following, jobs, local
from trainer.cloud import settings as cloud_settings
from trainer.cloud.command_errors import command_failed
from trainer.cloud.commands import CommandFailed
from trainer.cloud.console import Console
from trainer.cloud.google import dry_run, prices
from trainer.cloud.records import JobFailed, JobRecord
from trainer.cloud.submission import Limits, Submission
from trainer.cloud.target import Machines, Target
from trainer.cloud.targets import TARGETS, machines_of
from trainer.engine.preemption import StopRequest
from trainer.errors import UserError, unknown_name
from trainer.io.paths import is_remote
from trainer.io.redaction import redactor
from trainer.tune import validation

USAGE = (
    f"trainer submit --target={'|'.join(TARGETS)} --config=FILE [--workdir=gs://…] "
    "[--dry_run] [--detach] [flags of the command]"
)
TAKES_CONFIG = True
_SETTINGS = {name: target.settings for name, target in TARGETS.items()}
_COMMANDS = ("train", "tune")
# Flags that only targets that rent machines can honor.
_OF_MACHINES = ("detach", "cancel_on_interrupt", "keep", "max_cost")
# Flags of a command that name a local file, which is sent along.
_FILE_FLAGS = ("search",)
# The limit of Compute Engine's --max-run-duration: 120 days.
_MAX_HOURS = 120 * 24.0


def submission(values: absl_flags.FlagValues) -> None:
    """The flags of the submission itself."""
    for name, default, text in (
        ("target", "", f"Where to run: {' | '.join(TARGETS)}."),
        ("settings", "", "TOML file with settings; empty: cloud.toml if it exists."),
        ("command", "train", "Command to run there: train | tune."),
    ):
        absl_flags.DEFINE_string(name, default, text, flag_values=values)
    for name, text in (
        ("dry_run", "Print the commands as a shell script and do nothing else."),
        ("detach", "Return once the machines are requested. `trainer jobs` follows the job."),
        ("cancel_on_interrupt", "Ctrl-C cancels the job. Otherwise the job continues."),
        ("keep", "Keep the machines of a job that has ended until --max_hours, to look at them."),
    ):
        absl_flags.DEFINE_boolean(name, False, text, flag_values=values)
    absl_flags.DEFINE_integer(
        "max_restarts",
        3,
        "Maximum number of restarts after preemptions without a newer checkpoint.",
        lower_bound=0,
        flag_values=values,
    )
    absl_flags.DEFINE_float(
        "max_hours",
        24.0,
        "Time limit of the job in hours, waiting included.",
        lower_bound=0.01,
        upper_bound=_MAX_HOURS,
        flag_values=values,
    )
    absl_flags.DEFINE_float(
        "max_cost",
        0.0,
        "Stop the job at this estimated cost of its machines in US dollars; 0: no limit.",
        lower_bound=0.0,
        flag_values=values,
    )


def settings(values: absl_flags.FlagValues) -> None:
    """One flag per setting; it overrides the settings file."""
    define: dict[type, Any] = {
        str: absl_flags.DEFINE_string,
        int: absl_flags.DEFINE_integer,
        bool: absl_flags.DEFINE_boolean,
    }
    for setting in cloud_settings.fields(_SETTINGS.values()):
        define[setting.type](
            setting.name, setting.default, f"Setting: {setting.doc}", flag_values=values
        )


FLAGS = (submission, settings, *train.FLAGS)


def run(arguments: Sequence[str], started: float) -> None:
    """Submits the job and prints its output; with --dry_run, prints the commands instead."""
    del started
    console = Console(redactor(os.environ))
    try:
        _submit(arguments, console)
    except UserError as error:
        raise UserError(console.redact(str(error))) from None
    except JobFailed as failure:
        console.note(str(failure))
        sys.exit(1)


def _submit(arguments: Sequence[str], console: Console) -> None:
    file, overrides, rest = flags.split_config(arguments)
    command_flags = importlib.import_module(f"trainer.cli.{_command(rest)}").FLAGS
    values, positional = flags.parse((submission, settings, *command_flags), rest)
    if positional:
        raise UserError(f"submit takes only flags. Received: {' '.join(positional)}")
    if math.isnan(values.max_hours) or math.isnan(values.max_cost):
        raise UserError("--max_hours and --max_cost must be numbers. Received: nan")
    given = {name: values[name].value for name in _given(values, (settings,))}
    chosen = cloud_settings.load(values.settings, values.target, _SETTINGS, given)
    target = TARGETS[values.target]
    of_command = [name for name in _given(values, command_flags) if name != "workdir"]
    experiment = flags.experiment(file, overrides)
    if values.command == "tune":
        validation.check(validation.load(values.search), experiment)
    files = [(name, str(values[name].value)) for name in of_command if name in _FILE_FLAGS]
    request = Submission(
        target=target,
        settings=chosen,
        command=values.command,
        experiment=experiment,
        config=file,
        files=tuple(files if is_remote(file) else [("config", file), *files]),
        arguments=(
            *([f"--config={file}"] if is_remote(file) else []),
            *overrides,
            *(values[name].serialize() for name in of_command if name not in _FILE_FLAGS),
        ),
        workdir=values.workdir,
        data_dir=values.data_dir if "data_dir" in of_command else "",
    )
    if target.local is not None:
        _run_locally(request, values, console)
    else:
        _run_on_machines(request, values, console)


def _run_locally(request: Submission, values: absl_flags.FlagValues, console: Console) -> None:
    given = [name for name in _OF_MACHINES if values[name].value]
    if given:
        raise UserError(
            f"--target={request.target.name} rents no machines itself: remove --{given[0]}"
        )
    plan = request.local_plan(values.max_hours, values.max_restarts)
    if values.dry_run:
        console.output(local.script(plan))
        return
    _check_installed(request.target)
    with StopRequest() as stop:
        local.run(plan, time.monotonic() + 3600 * values.max_hours, stop, console)
    console.note(plan.message or _next(request.command, plan.results))


def _run_on_machines(request: Submission, values: absl_flags.FlagValues, console: Console) -> None:
    job = request.check()
    machines = request.machines()
    if values.max_cost and machines.hourly_cost is None:
        raise UserError(
            f"the price of these machines is unknown: remove --max_cost={values.max_cost:g}, and "
            "limit the time with --max_hours"
        )
    limits = Limits(values.max_restarts, values.max_hours, values.max_cost, values.keep)
    record = request.record(job, machines, limits, time.time())
    for warning in machines.warnings:
        console.note(f"warning: {warning}")
    cost = prices.estimate(machines.hourly_cost, record.max_hours, record.max_cost)
    if values.dry_run:
        path = os.path.join(tempfile.gettempdir(), f"{record.id}.tar.gz")
        archive = request.archive(path)
        console.output(dry_run.script(record, machines, archive, path, cost))
        return
    _check_installed(request.target)
    console.note(cost)
    with StopRequest() as stop:
        with stop.at_once("nothing was submitted"):
            claimed = _claim(request, record, machines, console)
        following.follow(
            claimed,
            # The same command may have been submitted to another target.
            machines_of(claimed),
            detach=values.detach,
            cancel_on_interrupt=values.cancel_on_interrupt,
            skip=claimed.id != record.id,
            stop=stop,
            console=console,
        )
    if not values.detach:
        console.note(_next(request.command, claimed.workdir))


def _claim(
    request: Submission, record: JobRecord, machines: Machines, console: Console
) -> JobRecord:
    """The job that may write the work directory: a new one, or the same one if it runs already."""
    store = machines.store(record.workdir)

    def stage() -> None:
        for warning in machines.check(record.workdir):
            console.note(f"warning: {warning}")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, f"{record.id}.tar.gz")
            commands.run(request.archive(path), machines.errors)
            store.upload(path, f"jobs/{record.id}/files.tar.gz")

    try:
        claimed = jobs.claim(store, record, stage)
    except CommandFailed as error:
        raise command_failed(error.command.argv, error.kind, error.message) from None
    verb = "submitted" if claimed.id == record.id else "already submitted; following"
    console.note(f"{verb} {claimed.id}: {claimed.workdir}")
    return claimed


def _next(command: str, results: str) -> str:
    if command == "tune":
        follow_up = f"trainer train --config={results}/best/config.json --workdir=…"
    else:
        follow_up = f"trainer evaluate --workdir={results}"
    return f"results: {results}\nnext: {follow_up}"


def _check_installed(target: Target) -> None:
    if shutil.which(target.program) is None:
        raise UserError(
            f"--target={target.name} needs {target.program}, which is not installed; --dry_run "
            "prints the commands without it"
        )


def _command(arguments: Sequence[str]) -> str:
    """The value of --command, which determines the flags that can be parsed."""
    name = "train"
    for number, argument in enumerate(arguments):
        # absl accepts one dash or two.
        flag, equals, value = argument.partition("=")
        if flag in ("--command", "-command"):
            name = value if equals else "".join(arguments[number + 1 : number + 2])
    if name not in _COMMANDS:
        raise unknown_name("value of --command", name, _COMMANDS)
    return name


def _given(values: absl_flags.FlagValues, define: Iterable[flags.Define]) -> list[str]:
    """The names of the flags that were given."""
    return [name for name in flags.new_values(tuple(define)) if values[name].present]

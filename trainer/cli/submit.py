"""`trainer submit`."""

import importlib
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

from absl import flags as absl_flags

from trainer.cli import flags, train
from trainer.cloud import settings as cloud_settings
from trainer.cloud.console import Console
from trainer.cloud.execution import JobFailed, Limits, Runner
from trainer.cloud.plan import script
from trainer.cloud.submission import Submission
from trainer.cloud.target import Target
from trainer.cloud.targets import TARGETS
from trainer.engine.preemption import StopRequest
from trainer.errors import UserError, unknown_name
from trainer.io.redaction import redactor
from trainer.tune import validation

USAGE = (
    f"trainer submit --target={'|'.join(TARGETS)} --config=FILE [--workdir=gs://…] "
    "[--dry_run] [flags of the command]"
)
TAKES_CONFIG = True
_SETTINGS = {name: target.settings for name, target in TARGETS.items()}
_COMMANDS = ("train", "tune")
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
        ("keep", "Do not delete the machines at the end."),
    ):
        absl_flags.DEFINE_boolean(name, False, text, flag_values=values)
    absl_flags.DEFINE_integer(
        "max_restarts",
        3,
        "Maximum number of restarts after preemptions.",
        lower_bound=0,
        flag_values=values,
    )
    absl_flags.DEFINE_float(
        "max_hours",
        24.0,
        "Time limit of the submission in hours, waiting included.",
        lower_bound=0.01,
        upper_bound=_MAX_HOURS,
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
    given = {name: values[name].value for name in _given(values, (settings,))}
    chosen = cloud_settings.load(values.settings, values.target, _SETTINGS, given)
    target = TARGETS[values.target]
    if math.isnan(values.max_hours):
        raise UserError("--max_hours must be a number. Received: nan")
    of_command = [name for name in _given(values, command_flags) if name != "workdir"]
    experiment = flags.experiment(file, overrides)
    if values.command == "tune":
        validation.check(validation.load(values.search), experiment)
    request = Submission(
        target=target,
        settings=chosen,
        command=values.command,
        experiment=experiment,
        files=(
            ("config", file),
            *((name, str(values[name].value)) for name in of_command if name in _FILE_FLAGS),
        ),
        arguments=(
            *overrides,
            *(values[name].serialize() for name in of_command if name not in _FILE_FLAGS),
        ),
        workdir=values.workdir,
        data_dir=values.data_dir if "data_dir" in of_command else "",
        max_hours=values.max_hours,
    )
    if values.dry_run:
        plan = request.plan(tempfile.gettempdir())
        console.output(script(plan, chosen.poll_seconds, values.keep))
        return
    limits = Limits(values.max_restarts, values.max_hours, values.keep)
    # A private folder, so that no other submission overwrites or deletes the files.
    with StopRequest() as stop, tempfile.TemporaryDirectory() as folder:
        plan = request.plan(folder)
        _check_installed(target)
        Runner(plan, limits, chosen.poll_seconds, stop, console).run()
    console.note(f"results: {plan.results}\nnext: {_next(values.command, plan.results)}")


def _next(command: str, results: str) -> str:
    if command == "tune":
        return f"trainer train --config={results}/best/config.json --workdir=…"
    return f"trainer evaluate --workdir={results}"


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

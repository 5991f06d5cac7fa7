"""`trainer submit`."""

import importlib
import math
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Any

from absl import flags as absl_flags

from trainer.cli import flags, train
from trainer.cloud import settings as cloud_settings
from trainer.cloud.console import Screen
from trainer.cloud.plan import script
from trainer.cloud.runner import JobFailed, Limits, Runner
from trainer.cloud.submission import Submission
from trainer.engine.preemption import StopRequest
from trainer.errors import UserError, unknown_name
from trainer.io.redaction import redactor
from trainer.tune import validation

USAGE = (
    "trainer submit --target=docker|tpu-vm|gpu-vm|vertex --config=FILE [--workdir=gs://…] "
    "[--dry_run] [flags of the command]"
)
TAKES_CONFIG = True
_CARRIED = ("train", "tune")
# Flags of a command that name a file which has to come along.
_FILE_FLAGS = ("search",)
# A machine's own limit, --max-run-duration, takes no more than 120 days.
_MOST_HOURS = 120 * 24.0


def submission(values: absl_flags.FlagValues) -> None:
    """What to submit where, and for how long."""
    for name, default, text in (
        ("target", "", "docker | tpu-vm | gpu-vm | vertex."),
        ("settings", "", "Settings in TOML; empty: cloud.toml if it is there."),
        ("command", "train", "What to run there: train | tune."),
    ):
        absl_flags.DEFINE_string(name, default, text, flag_values=values)
    for name, text in (
        ("dry_run", "Print the commands for a shell, and do nothing."),
        ("keep", "Leave the machines, at the end."),
    ):
        absl_flags.DEFINE_boolean(name, False, text, flag_values=values)
    absl_flags.DEFINE_integer(
        "max_restarts", 3, "Starts after preemptions.", lower_bound=0, flag_values=values
    )
    absl_flags.DEFINE_float(
        "max_hours",
        24.0,
        "Of the whole submission, waiting included.",
        lower_bound=0.01,
        upper_bound=_MOST_HOURS,
        flag_values=values,
    )


def settings(values: absl_flags.FlagValues) -> None:
    """One flag for each setting; one that is given counts more than the file."""
    define: dict[type, Any] = {
        str: absl_flags.DEFINE_string,
        int: absl_flags.DEFINE_integer,
        bool: absl_flags.DEFINE_boolean,
    }
    for name, kind, default, text in cloud_settings.fields():
        define[kind](name, default, f"Setting: {text}", flag_values=values)


FLAGS = (submission, settings, *train.FLAGS)


def run(arguments: Sequence[str], started: float) -> None:
    """Submits, follows, deletes; or prints the commands that would."""
    del started
    screen = Screen(redactor(os.environ))
    try:
        _submit(arguments, screen)
    except UserError as error:
        raise UserError(screen.redact(str(error))) from None
    except JobFailed as failure:
        screen.note(str(failure))
        sys.exit(1)


def _submit(arguments: Sequence[str], screen: Screen) -> None:
    file, overrides, rest = flags.split_config(arguments)
    command_flags = importlib.import_module(f"trainer.cli.{_command(rest)}").FLAGS
    values, positional = flags.parse((submission, settings, *command_flags), rest)
    if positional:
        raise UserError(f"submit takes flags only. Received: {' '.join(positional)}")
    given = {name: values[name].value for name in _given(values, (settings,))}
    chosen = cloud_settings.load(values.settings, values.target, given)
    if math.isnan(values.max_hours):
        raise UserError("--max_hours is a number of hours. Received: nan")
    of_command = [name for name in _given(values, command_flags) if name != "workdir"]
    experiment = flags.experiment(file, overrides)
    if values.command == "tune":
        validation.check(validation.load(values.search), experiment)
    asked = Submission(
        target=values.target,
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
        plan = asked.plan(tempfile.gettempdir())
        screen.output(script(plan, chosen.poll_seconds, values.keep))
        return
    limits = Limits(values.max_restarts, values.max_hours, values.keep)
    # A folder of its own: another submission must not exchange, or delete, what lies there.
    with StopRequest() as stop, tempfile.TemporaryDirectory() as folder:
        _stop_on_hang_up(stop)
        plan = asked.plan(folder)
        _check_installed(values.target)
        Runner(plan, limits, chosen.poll_seconds, stop, screen).run()
    screen.note(f"results: {plan.results}\nnext: {_next(values.command, plan.results)}")


def _stop_on_hang_up(stop: StopRequest) -> None:
    """A terminal that is closed must not leave machines behind; under nohup it may be closed."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return

    def handle(number: int, frame: FrameType | None) -> None:
        # Says nothing: nobody reads it, and a write that fails here would break the clean-up.
        del number, frame
        stop.requested = True

    signal.signal(signal.SIGHUP, handle)


def _next(command: str, results: str) -> str:
    if command == "tune":
        return f"trainer train --config={results}/best/config.json --workdir=…"
    return f"trainer evaluate --workdir={results}"


def _check_installed(target: str) -> None:
    program = "docker" if target == "docker" else "gcloud"
    if shutil.which(program) is None:
        raise UserError(
            f"{program} is not installed; --dry_run prints the commands without it. "
            f"Received: --target={target}"
        )


def _command(arguments: Sequence[str]) -> str:
    """The command to run there, which has flags of its own, before flags can be read."""
    name = "train"
    for number, argument in enumerate(arguments):
        # One dash is as good as two.
        flag, equals, value = argument.partition("=")
        if flag in ("--command", "-command"):
            name = value if equals else "".join(arguments[number + 1 : number + 2])
    if name not in _CARRIED:
        raise unknown_name("value of --command", name, _CARRIED)
    return name


def _given(values: absl_flags.FlagValues, define: Iterable[flags.Define]) -> list[str]:
    """Names of those flags that were given."""
    return [name for name in flags.new_values(tuple(define)) if values[name].present]

"""Runs a command and turns its errors into one line and an exit status."""

import importlib
import os
import sys
import textwrap
import time
from collections.abc import Sequence
from types import ModuleType

from trainer.cli import flags
from trainer.errors import EXIT_INTERRUPTED, EXIT_USER_ERROR, Interrupted, UserError, unknown_name

COMMANDS = {
    "train": "train an experiment, or resume it",
    "tune": "search for the best hyperparameters of an experiment",
    "evaluate": "evaluate a run's selected checkpoint on a split",
    "predict": "predict for files with a run's selected checkpoint",
    "report": "write an HTML report of a run or a search, or compare runs",
    "export": "export a trained network or policy for use without trainer",
    "doctor": "check the installation and the hardware, and report problems",
    "submit": "run a command on a cloud TPU or GPU, or in a container",
    "jobs": "list, show, follow or cancel submitted jobs",
}


def run(arguments: Sequence[str]) -> int:
    """Runs `trainer ARGUMENTS…`; returns the exit status.

    0: done. 2: the user's input is wrong. 75: stopped with the state saved. Any other exception
    is a bug in trainer and propagates: Python prints its traceback and exits with 1.
    """
    started = time.time()
    try:
        return _run(list(arguments), started)
    except UserError as error:
        print("error:", " ".join(str(error).split("\n")), file=sys.stderr)
        return EXIT_USER_ERROR
    except Interrupted as interrupted:
        print(f"{interrupted}; run the same command to resume", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of stdout has ended, as in `trainer predict … | head`. Python would report
        # the error once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _run(arguments: list[str], started: float) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        from trainer import __version__

        print(f"trainer {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    command: ModuleType = importlib.import_module(f"trainer.cli.{name}")
    if {"-h", "--help"} & set(rest):
        print(_command_help(name, command, rest))
        return 0
    command.run(rest, started)
    return 0


def _overview() -> str:
    commands = "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items())
    return f"""usage: trainer COMMAND [--flag=value …]

Trains Keras models and TF-Agents agents from one configuration file, on CPU, GPU or
TPU. Training can be stopped and resumed at any time with identical results.

commands:
{commands}

  trainer COMMAND --help   show the flags of a command; with --config=FILE also its fields

example:
  trainer train --config=configs/digits_cnn.py --workdir=runs/digits"""


def _command_help(name: str, command: ModuleType, arguments: Sequence[str]) -> str:
    rows = flags.flag_help(command.FLAGS)
    parts = [f"usage: {command.USAGE}", "", COMMANDS[name] + ".", "", "flags:", _table(rows)]
    if command.TAKES_CONFIG:
        file, overrides, _ = flags.split_config(arguments)
        if file:
            fields = flags.field_help(flags.experiment(file, overrides))
            parts += ["", f"fields of {file}:", _table(fields)]
        else:
            parts += [
                "",
                "Add --config=FILE to list the fields that --config.a.b=value can override.",
            ]
    return "\n".join(parts)


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(
        f"  {name}\n{textwrap.fill(text, 88, initial_indent=' ' * 6, subsequent_indent=' ' * 6)}"
        for name, text in rows
    )

"""Command lines as data, and running them."""

import dataclasses
import shlex
from collections.abc import Sequence

from trainer.cloud.command_errors import ErrorKind, ErrorPatterns, error_message
from trainer.cloud.processes import Child, Show

# Seconds after which a command of a vendor's program is considered to hang.
_TIMEOUT = 900.0


@dataclasses.dataclass(frozen=True)
class Command:
    """One command line; `text` is its standard input."""

    argv: tuple[str, ...]
    text: str = ""

    def __str__(self) -> str:
        """The command for a POSIX shell."""
        words = shlex.join(self.argv)
        return f"printf %s {shlex.quote(self.text)} | {words}" if self.text else words


class CommandFailed(Exception):
    """A command failed.

    Attributes:
      command: what was run.
      kind: what kind of error its output reports.
      message: the error in one line.
    """

    def __init__(self, command: Command, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.command = command
        self.kind = kind
        self.message = message


def run(command: Command, patterns: ErrorPatterns, show_errors: Show | None = None) -> str:
    """Runs a command; returns its standard output.

    Args:
      command: what to run.
      patterns: how the program reports errors.
      show_errors: receives each line of standard error.

    Raises:
      CommandFailed: if its exit status is not 0.
    """
    (output,) = run_all([command], patterns, show_errors)
    return output


def run_all(
    commands: Sequence[Command], patterns: ErrorPatterns, show_errors: Show | None = None
) -> list[str]:
    """Runs commands at the same time; returns their standard outputs.

    Raises:
      CommandFailed: for the first whose exit status is not 0, when all have ended.
    """
    children = [Child(command.argv, command.text, None, show_errors) for command in commands]
    try:
        statuses = [child.wait(_TIMEOUT) for child in children]
    finally:
        for child in children:
            child.terminate()
    for command, child, status in zip(commands, children, statuses, strict=True):
        if status != 0:
            message = error_message(child.errors) if status is not None else "no answer"
            kind = patterns.kind(message) if status is not None else ErrorKind.NO_CONTACT
            raise CommandFailed(command, kind, message)
    return ["\n".join(child.output) for child in children]

"""The jobs that exist in a project, found by the label of their machines."""

import dataclasses
from collections.abc import Callable

from trainer.cloud import commands
from trainer.cloud.command_errors import ErrorKind, ErrorPatterns
from trainer.cloud.commands import Command, CommandFailed


@dataclasses.dataclass(frozen=True)
class Listed:
    """One job: its id, its target, where its machines are, their state, and its work directory."""

    id: str
    target: str
    place: str
    state: str
    workdir: str


@dataclasses.dataclass(frozen=True)
class Query:
    """How to list the jobs of a target.

    Attributes:
      command: prints JSON; None if the place is not known.
      parse: reads it.
      errors: how the program reports errors.
    """

    command: Command | None
    parse: Callable[[str], list[Listed]]
    errors: ErrorPatterns


def listed(query: Query) -> list[Listed]:
    """The jobs of a target; those of several machines once.

    Raises:
      CommandFailed: if they cannot be listed.
    """
    if query.command is None:
        return []
    try:
        output = commands.run(query.command, query.errors)
    except CommandFailed as error:
        if error.kind is ErrorKind.NOT_FOUND:
            return []
        raise
    return list({one.id: one for one in query.parse(output or "[]")}.values())


def workdir_of(record: str) -> str:
    """The work directory of `gs://WORKDIR/jobs/ID`."""
    return record.rpartition("/jobs/")[0]

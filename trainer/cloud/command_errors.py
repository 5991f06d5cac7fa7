"""What a command that failed said, as one line for the user."""

import re
from collections.abc import Sequence

from trainer.cloud.plan import Command
from trainer.errors import UserError

_EXISTS = re.compile(r"ALREADY_EXISTS|already exists", re.I)
# Not of credentials or programs: what is only thought to be gone is paid for.
_GONE = re.compile(r"NOT_FOUND|was not found|matched no objects", re.I)
_MADE = re.compile(r"Created \[.*/([^/]+)\]")
_QUOTA = re.compile(r"EXHAUSTED|quota|does not have enough resources", re.I)


def message(lines: Sequence[str]) -> str:
    """The error among the last lines of a program's standard error."""
    lines = [line for line in lines if line.strip()]
    starts = [number for number, line in enumerate(lines) if line.startswith("ERROR:")]
    return " ".join(" ".join(lines[starts[-1] if starts else -1 :]).split())


def refused(command: Command, said: str) -> UserError:
    """The error for a command that failed, with a remedy."""
    words = (word for word in command.argv if not word.startswith("-"))
    remedy = (
        "ask for quota, or take another zone or accelerator"
        if says_no_quota(said)
        else "mend that and run the same command again"
    )
    received = " ".join(" ".join(words).split())[:120]
    return UserError(f"{said or 'a command failed'}; {remedy}. Received: {received}")


def says_it_exists(said: str) -> bool:
    """Whether something of that name is there already."""
    return bool(_EXISTS.search(said))


def names_made(lines: Sequence[str]) -> set[str]:
    """What gcloud says it has made, whatever else it was refused."""
    return {found[1] for line in lines if (found := _MADE.match(line))}


def says_it_is_gone(said: str) -> bool:
    """Whether there is nothing of that name."""
    return bool(_GONE.search(said))


def says_no_quota(said: str) -> bool:
    """Whether the project may not have so much, or the zone has it not."""
    return bool(_QUOTA.search(said))

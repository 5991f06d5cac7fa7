"""Turns the standard error of a failed command into one line for the user."""

import dataclasses
import re
from collections.abc import Sequence

from trainer.errors import UserError

_NEVER = re.compile(r"(?!)")


@dataclasses.dataclass(frozen=True)
class ErrorPatterns:
    """How a vendor's program reports the errors that the runner handles.

    Attributes:
      exists: the resource already exists.
      not_found: the resource does not exist. It must not match other missing things, such as
        credentials: a resource that is wrongly assumed to be deleted costs money.
      quota: quota or capacity is exhausted.
      created: a line about one created resource; its first group is the name.
    """

    exists: re.Pattern[str] = _NEVER
    not_found: re.Pattern[str] = _NEVER
    quota: re.Pattern[str] = _NEVER
    created: re.Pattern[str] = _NEVER

    def created_names(self, lines: Sequence[str]) -> set[str]:
        """The resources that a command created before it failed."""
        return {found[1] for line in lines if (found := self.created.match(line))}


def error_message(lines: Sequence[str]) -> str:
    """The error in the last lines of standard error: from `ERROR:` on, else the last line."""
    lines = [line for line in lines if line.strip()]
    starts = [number for number, line in enumerate(lines) if line.startswith("ERROR:")]
    return " ".join(" ".join(lines[starts[-1] if starts else -1 :]).split())


def command_failed(argv: Sequence[str], message: str, patterns: ErrorPatterns) -> UserError:
    """The error for a failed command, with a remedy."""
    words = (word for word in argv if not word.startswith("-"))
    remedy = (
        "request more quota, or choose another zone or accelerator"
        if patterns.quota.search(message)
        else "fix the problem and run the same command again"
    )
    command = " ".join(" ".join(words).split())[:120]
    return UserError(f"{message or 'a command failed'}; {remedy}. Command: {command}")

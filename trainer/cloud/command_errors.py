"""Turns the standard error of a failed command into a kind of error and one line."""

import dataclasses
import enum
import re
from collections.abc import Sequence

from trainer.errors import UserError

_NEVER = re.compile(r"(?!)")


class ErrorKind(enum.Enum):
    """What the error of a vendor's program means for a submission."""

    EXISTS = "the resource exists already"
    NOT_FOUND = "the resource does not exist"
    CONDITION = "an object has changed meanwhile"
    QUOTA = "the project's quota does not suffice"
    STOCK_OUT = "the place has no capacity now"
    NO_CONTACT = "the service cannot be reached, or the login has expired"
    OTHER = "the request is wrong"


@dataclasses.dataclass(frozen=True)
class ErrorPatterns:
    """How a vendor's program reports errors.

    A pattern must not match other errors. `not_found`, for example, must not match missing
    credentials: a machine that is wrongly assumed to be deleted costs money.
    """

    exists: re.Pattern[str] = _NEVER
    not_found: re.Pattern[str] = _NEVER
    condition: re.Pattern[str] = _NEVER
    quota: re.Pattern[str] = _NEVER
    stock_out: re.Pattern[str] = _NEVER
    no_contact: re.Pattern[str] = _NEVER

    def kind(self, message: str) -> ErrorKind:
        """The kind of an error."""
        for kind, pattern in (
            (ErrorKind.CONDITION, self.condition),
            (ErrorKind.EXISTS, self.exists),
            (ErrorKind.STOCK_OUT, self.stock_out),
            (ErrorKind.QUOTA, self.quota),
            (ErrorKind.NO_CONTACT, self.no_contact),
            (ErrorKind.NOT_FOUND, self.not_found),
        ):
            if pattern.search(message):
                return kind
        return ErrorKind.OTHER


_REMEDIES = {
    ErrorKind.QUOTA: "request more quota, or choose another region or accelerator",
    ErrorKind.STOCK_OUT: "try later, or choose another zone or accelerator",
    ErrorKind.NO_CONTACT: "check the network and the login: gcloud auth login",
}


def error_message(lines: Sequence[str]) -> str:
    """The error in the last lines of standard error: from `ERROR:` on, else the last line."""
    lines = [line for line in lines if line.strip()]
    starts = [number for number, line in enumerate(lines) if line.startswith("ERROR:")]
    return " ".join(" ".join(lines[starts[-1] if starts else -1 :]).split())


def command_failed(argv: Sequence[str], kind: ErrorKind, message: str) -> UserError:
    """The error for a failed command, with a remedy."""
    words = (word for word in argv if not word.startswith("-"))
    remedy = _REMEDIES.get(kind, "fix the problem and run the same command again")
    command = " ".join(" ".join(words).split())[:120]
    return UserError(f"{message or 'a command failed'}; {remedy}. Command: {command}")

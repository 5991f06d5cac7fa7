"""The result of one check."""

import dataclasses
import enum

from trainer.errors import UserError


class Level(str, enum.Enum):
    """How serious a finding is."""

    OK = "ok"
    WARN = "warn"  # something does not work, but a run can succeed
    FAIL = "fail"  # no run can succeed


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a check found, and what to do about it.

    Attributes:
      check: name of the check, one word.
      level: a `Level`, or its value as a string.
      text: what was found, one line. It never contains the value of an environment variable.
      remedy: what to do, one line; empty if the level is ok.
    """

    check: str
    level: Level
    text: str
    remedy: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", Level(self.level))


def from_error(check: str, error: UserError) -> Finding:
    """The finding for an error that a run would raise.

    The received value is left out, because it may be a secret.
    """
    text, _, remedy = str(error).partition(" Received: ")[0].partition("; ")
    return Finding(check, Level.FAIL, text, remedy.rstrip(".") or "see trainer doctor --help")

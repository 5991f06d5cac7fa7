"""One thing looked at."""

import dataclasses
from typing import Literal

from trainer.errors import UserError

Level = Literal["ok", "warn", "fail"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was seen, and what to do about it.

    Attributes:
      check: what was looked at, one word.
      level: ok, warn: something is out of reach, or fail: no run can succeed like this.
      text: what was seen, one line; never the value of an environment variable.
      remedy: what to do, one line; empty where all is well.
    """

    check: str
    level: Level
    text: str
    remedy: str = ""


def of_error(check: str, error: UserError) -> Finding:
    """The failure that a run would meet; without what was received, which may be a secret."""
    text, _, remedy = str(error).partition(" Received: ")[0].partition("; ")
    return Finding(check, "fail", text, remedy.rstrip(".") or "see trainer doctor --help")

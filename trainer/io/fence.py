"""A fence: a file that names the one process that may write to a directory.

A search gives a trial to another worker if its worker no longer replies. The first worker, or its
training process, may still be alive, so each checks the fence before it writes.
"""

import dataclasses
import json
import os

from trainer.errors import Interrupted
from trainer.io.paths import to_path

# Set for the training processes of a search.
VARIABLE = "TRAINER_FENCE"


class Fenced(Interrupted):
    """The fence names another process; this one must not write any more."""


@dataclasses.dataclass(frozen=True)
class Fence:
    """The right to write while the file `path` contains `token`."""

    path: str
    token: str

    def check(self) -> None:
        """Checks the right to write; call it before each write.

        Raises:
          Fenced: if the file contains another token, or is missing.
        """
        try:
            token = to_path(self.path).read_text()
        except FileNotFoundError:
            token = ""
        if token != self.token:
            raise Fenced(f"stopped: another process has taken over ({self.path})")

    def to_variable(self) -> str:
        """Returns the value of the environment variable for a process with this right."""
        return json.dumps(dataclasses.asdict(self))


def check() -> None:
    """Checks the fence of this process, if it has one.

    Raises:
      Fenced: if another process has taken over.
    """
    value = os.environ.get(VARIABLE)
    if value:
        Fence(**json.loads(value)).check()

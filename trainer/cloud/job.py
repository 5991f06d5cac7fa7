"""What is carried: the command line of the job, its files, and its name."""

import dataclasses
import hashlib
import os
import re
from collections.abc import Sequence

# Room for a suffix in the 63 characters of a Compute Engine name.
_LONGEST_NAME = 55


@dataclasses.dataclass(frozen=True)
class Job:
    """`trainer COMMAND …`, wherever it will run.

    Attributes:
      command: train or tune.
      files: flags that name a local file which has to come along, as ("config", "configs/x.py").
      arguments: the other flags, overrides included, as they were given.
      workdir: where the results go.
      strategy_given: whether `arguments` say how to place it.
      name: of everything that is made for it; the same command gives the same name.
    """

    command: str
    files: tuple[tuple[str, str], ...]
    arguments: tuple[str, ...]
    workdir: str
    strategy_given: bool
    name: str

    def argv(self, folder: str, placement: Sequence[str]) -> tuple[str, ...]:
        """The words after `trainer`, with the files found under `folder`.

        Args:
          folder: what stands before a file's `carried_path`.
          placement: the target's flags, unless the user gave some.
        """
        return (
            self.command,
            *(f"--{flag}={os.path.join(folder, carried_path(path))}" for flag, path in self.files),
            *self.arguments,
            f"--workdir={self.workdir}",
            *(() if self.strategy_given else placement),
        )


def make_name(stem: str, identity: str) -> str:
    """A name that Google Cloud takes: `trainer-STEM-DIGEST`.

    Args:
      stem: of the configuration file, for people.
      identity: whatever makes two runs different.
    """
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    letters = re.sub(r"[^a-z0-9]+", "-", f"trainer-{stem}".lower()).strip("-")
    return f"{letters[: _LONGEST_NAME - 9].rstrip('-')}-{digest}"


def carried_path(path: str) -> str:
    """Where a file lies below the folder it was brought to: as here, seen from this folder."""
    relative = os.path.relpath(path)
    return os.path.abspath(path).lstrip(os.sep) if relative.startswith(os.pardir) else relative


def carried_from(path: str) -> str:
    """The folder that `carried_path` starts at."""
    return os.sep if os.path.relpath(path).startswith(os.pardir) else os.getcwd()

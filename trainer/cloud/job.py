"""The job to submit: its command line, its files and its name."""

import dataclasses
import hashlib
import os
import re
from collections.abc import Sequence

# Leaves room for the submission, attempt and host in the 63 characters of a Compute Engine name.
_MAX_NAME_LENGTH = 44


@dataclasses.dataclass(frozen=True)
class Job:
    """A command `trainer COMMAND …` to run on another machine.

    Attributes:
      command: train or tune.
      task: supervised or rl.
      files: flags that name a local file to send along, for example ("config", "configs/x.py").
      arguments: the other flags, overrides included, as given.
      workdir: where the results go.
      strategy_given: whether `arguments` contain a strategy.
      name: name of the resources; the same command always gives the same name.
    """

    command: str
    task: str
    files: tuple[tuple[str, str], ...]
    arguments: tuple[str, ...]
    workdir: str
    strategy_given: bool
    name: str

    def argv(self, folder: str, strategy_flags: Sequence[str]) -> tuple[str, ...]:
        """The arguments of `trainer` on the other machine.

        Args:
          folder: the folder there that contains each file at its `remote_path`.
          strategy_flags: the target's strategy; ignored if the user chose one.
        """
        return (
            self.command,
            *(f"--{flag}={os.path.join(folder, remote_path(path))}" for flag, path in self.files),
            *self.arguments,
            f"--workdir={self.workdir}",
            *(() if self.strategy_given else strategy_flags),
        )


def make_name(stem: str, identity: str) -> str:
    """A name that is valid in Google Cloud: `trainer-STEM-DIGEST`.

    Args:
      stem: of the configuration file, for readability.
      identity: distinguishes two jobs.
    """
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    letters = re.sub(r"[^a-z0-9]+", "-", f"trainer-{stem}".lower()).strip("-")
    return f"{letters[: _MAX_NAME_LENGTH - 9].rstrip('-')}-{digest}"


def remote_path(path: str) -> str:
    """The relative path of a file on the other machine: as seen from the current directory."""
    relative = os.path.relpath(path)
    return os.path.abspath(path).lstrip(os.sep) if relative.startswith(os.pardir) else relative


def local_root(path: str) -> str:
    """The local folder that the `remote_path` of a file is relative to."""
    return os.sep if os.path.relpath(path).startswith(os.pardir) else os.getcwd()

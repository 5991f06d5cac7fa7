"""Records in a bucket, through gcloud."""

import json
from collections.abc import Callable
from typing import TypeVar

from trainer.cloud import commands
from trainer.cloud.command_errors import ErrorKind
from trainer.cloud.commands import Command, CommandFailed
from trainer.cloud.google import gcloud

_Default = TypeVar("_Default", str, None)


class Bucket:
    """A folder of a bucket: objects by their names relative to it."""

    def __init__(self, url: str) -> None:
        """Opens `gs://BUCKET/FOLDER`, which need not exist."""
        self._url = url.rstrip("/")

    def names(self, prefix: str) -> dict[str, int]:
        """The sizes in bytes of the objects whose names begin with `prefix`.

        Raises:
          CommandFailed: if the bucket cannot be read.
        """
        url = f"{self._url}/{prefix}"
        command = gcloud.command("storage objects list", f"{url}**", "--format=json(name,size)")
        output = _unless_missing(lambda: self._run(command), "[]")
        start = len(self._url.removeprefix("gs://").partition("/")[2]) + 1
        return {row["name"][start:]: int(row["size"]) for row in json.loads(output or "[]")}

    def read(self, name: str) -> str | None:
        """The text of an object; None if it does not exist."""
        command = gcloud.command("storage cat", f"{self._url}/{name}")
        return _unless_missing(lambda: self._run(command), None)

    def write(self, name: str, text: str) -> None:
        """Writes or replaces an object."""
        self._run(self.write_command(name, text))

    def create(self, name: str, text: str) -> bool:
        """Writes an object that must not exist; returns False if it exists with another text."""
        try:
            self._run(self.write_command(name, text, generation="0"))
        except CommandFailed as error:
            if error.kind is not ErrorKind.CONDITION:
                raise
            # An earlier request may have succeeded although its answer was lost.
            return self.read(name) == text.rstrip("\n")
        return True

    def generation(self, name: str) -> str:
        """The generation of an object; "0" if it does not exist."""
        command = gcloud.command(
            "storage objects describe", f"{self._url}/{name}", "--format=value(generation)"
        )
        return _unless_missing(lambda: self._run(command), "0").strip()

    def replace(self, name: str, text: str, generation: str) -> bool:
        """Replaces an object of a known generation; returns False if it has changed."""
        try:
            self._run(self.write_command(name, text, generation))
        except CommandFailed as error:
            if error.kind is not ErrorKind.CONDITION:
                raise
            return self.read(name) == text.rstrip("\n")
        return True

    def write_command(self, name: str, text: str, generation: str = "") -> Command:
        """The command that writes an object."""
        condition = gcloud.optional_flag("if-generation-match", generation)
        return gcloud.command("storage cp -", f"{self._url}/{name}", *condition, text=text)

    def upload(self, path: str, name: str) -> None:
        """Copies a local file to an object."""
        self._run(self.upload_command(path, name))

    def upload_command(self, path: str, name: str) -> Command:
        """The command that copies a local file to an object."""
        return gcloud.command("storage cp", path, f"{self._url}/{name}")

    def remove(self, name: str) -> None:
        """Removes an object, if it exists."""
        command = gcloud.command("storage rm", f"{self._url}/{name}")
        _unless_missing(lambda: self._run(command), "")

    def _run(self, command: Command) -> str:
        return commands.run(command, gcloud.ERRORS)


def _unless_missing(function: Callable[[], str], default: _Default) -> str | _Default:
    try:
        return function()
    except CommandFailed as error:
        if error.kind is ErrorKind.NOT_FOUND:
            return default
        raise

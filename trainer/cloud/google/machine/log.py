"""The output of a job as objects in a bucket."""

from trainer.cloud.google.machine.services import Folder

# An object cannot be appended to: a log is a sequence of objects, of which the last one grows.
_LOG_PART_BYTES = 256 * 1024


class Log:
    """Uploads the lines of a local file as objects `log-00001`, `log-00002` and so on."""

    def __init__(self, folder: Folder, path: str) -> None:
        self._folder = folder
        self._path = path
        self._offset = 0
        self._number = 1
        self._part = b""

    def resume(self) -> None:
        """Continues after the parts that an earlier boot of this machine has uploaded."""
        while self._folder.read(self._name()) is not None:
            self._number += 1

    def upload(self) -> None:
        """Uploads the lines that the file has received since the last call.

        Raises:
          OSError: if the bucket cannot be reached; the next call uploads them too.
        """
        with open(self._path, "rb") as file:
            while True:
                file.seek(self._offset)
                room = _LOG_PART_BYTES - len(self._part)
                new = file.read(room)
                lines = new[: new.rfind(b"\n") + 1]
                if not lines and len(new) < room:
                    return
                if not lines and self._part:
                    self._number += 1
                    self._part = b""
                    continue
                # A line that is longer than a part is cut.
                lines = lines or new
                self._folder.write(self._name(), self._part + lines)
                self._offset += len(lines)
                self._part += lines

    def _name(self) -> str:
        return f"log-{self._number:05}"

"""Shows the output of a job, which its machine uploads as a sequence of objects."""

from collections.abc import Callable, Mapping

from trainer.cloud.store import Store

_TAIL_LINES = 10


class LogReader:
    """Shows each line of a log once.

    The objects `log-00001`, `log-00002`, … consist of whole lines. The last one grows.
    """

    def __init__(self, store: Store, show: Callable[[str], None], skip: bool = False) -> None:
        """Prepares to read logs.

        Args:
          store: contains them.
          show: receives each line.
          skip: whether to skip what exists at the first call, up to its last lines.
        """
        self._store = store
        self._show = show
        self._skip = skip
        # By object: the size that was read, and the number of lines that were shown.
        self._sizes: dict[str, int] = {}
        self._lines: dict[str, int] = {}

    def show(self, folder: str, names: Mapping[str, int]) -> None:
        """Shows the new lines of the log in a folder.

        Args:
          folder: contains the objects; ends with a slash.
          names: the objects of the store and their sizes in bytes.
        """
        parts = _parts(folder, names)
        if self._skip and parts:
            self._skip = False
            self._sizes.update({part: names[part] for part in parts[:-1]})
            lines = self._read(parts[-1])
            self._lines[parts[-1]] = max(0, len(lines) - _TAIL_LINES)
            self._show_rest(parts[-1], lines, names)
        for part in parts:
            if names[part] != self._sizes.get(part):
                self._show_rest(part, self._read(part), names)

    def tail(self, folder: str, names: Mapping[str, int]) -> None:
        """Shows the last lines of the log in a folder."""
        for part in _parts(folder, names)[-1:]:
            for line in self._read(part)[-_TAIL_LINES:]:
                self._show(line)

    def _show_rest(self, part: str, lines: list[str], names: Mapping[str, int]) -> None:
        for line in lines[self._lines.get(part, 0) :]:
            self._show(line)
        self._lines[part] = len(lines)
        self._sizes[part] = names[part]

    def _read(self, part: str) -> list[str]:
        text = self._store.read(part)
        return text.split("\n") if text else []


def _parts(folder: str, names: Mapping[str, int]) -> list[str]:
    return sorted(name for name in names if name.startswith(f"{folder}log-"))

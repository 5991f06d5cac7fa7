"""Where the records of a job are: a folder of a bucket."""

from typing import Protocol


class Store(Protocol):
    """Objects by their names relative to the work directory.

    Every method raises CommandFailed if the bucket cannot be reached.
    """

    def names(self, prefix: str) -> dict[str, int]:
        """The sizes in bytes of the objects whose names begin with `prefix`."""

    def read(self, name: str) -> str | None:
        """The text of an object; None if it does not exist."""

    def write(self, name: str, text: str) -> None:
        """Writes or replaces an object."""

    def create(self, name: str, text: str) -> bool:
        """Writes an object that must not exist; returns False if it exists with another text."""

    def generation(self, name: str) -> str:
        """What changes when an object is replaced; "0" if it does not exist."""

    def replace(self, name: str, text: str, generation: str) -> bool:
        """Replaces an object of a known generation; returns False if it has changed."""

    def upload(self, path: str, name: str) -> None:
        """Copies a local file to an object."""

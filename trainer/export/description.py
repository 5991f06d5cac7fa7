"""export.json: what an export is, how it is called, and the digests of its files."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.errors import UserError

NAME = "export.json"
CARD = "model_card.md"
_NOT_DIGESTED = (NAME, CARD)


def write(folder: str, description: Mapping[str, Any]) -> None:
    """Writes export.json into a local folder, with the digests of the files that are there."""
    content = {**description, "sha256": digests(folder)}
    Path(folder, NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read(folder: str) -> dict[str, Any]:
    """The export.json of a local folder.

    Raises:
      UserError: if there is none, or it is damaged.
    """
    try:
        content = json.loads(Path(folder, NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _incomplete(folder, type(error).__name__) from error
    if not isinstance(content, dict) or not {"format", "file", "sha256"} <= set(content):
        raise _incomplete(folder, "format, file or sha256 is missing")
    return content


def _incomplete(folder: str, why: str) -> UserError:
    return UserError(f"{folder} is not a complete export of trainer ({NAME}: {why}); export again")


def check_equal(described: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Checks that an export.json says of an export what the run says.

    Raises:
      UserError: with the first field that differs.
    """
    # Tuples become lists.
    expected = json.loads(json.dumps(expected))
    for field in sorted({*described, *expected} - {"sha256"}):
        if described.get(field) != expected.get(field):
            raise UserError(
                f"{NAME} of the export differs from the run in {field!r}: the run has "
                f"{expected.get(field)!r}; export again. Received: {described.get(field)!r}"
            )


def check_files(folder: str, description: Mapping[str, Any]) -> None:
    """Checks that the files of an export are those that were written.

    Raises:
      UserError: naming what is missing, new or changed.
    """
    written, found = description["sha256"], digests(folder)
    for name in sorted({*written, *found}):
        if written.get(name) != found.get(name):
            what = "missing" if name not in found else "new" if name not in written else "damaged"
            raise UserError(f"{os.path.join(folder, name)} is {what}; export again")


def digests(folder: str) -> dict[str, str]:
    """SHA-256 of each file of an export by its path, without export.json and the model card."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in names.items()
        if name not in _NOT_DIGESTED
    }

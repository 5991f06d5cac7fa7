"""The files that a user names: files, folders and patterns, local or remote."""

import fnmatch
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from trainer.compat.keras import tf
from trainer.errors import UserError
from trainer.io.paths import is_remote

_RECURSIVE = "**"


class _Entry(NamedTuple):
    """A name in a folder. A link to a folder is a folder, and a link."""

    name: str
    is_folder: bool
    is_link: bool


def input_files(
    paths: Iterable[str], endings: Sequence[str]
) -> Iterator[tuple[str, UserError | None]]:
    """Each file that is named, in the order of `paths`; only the names of a folder are in memory.

    A folder stands for the files below it that have one of the endings: first those in it, then
    those of each folder in it, sorted. Hidden files and folders are left out, and links to folders
    are not followed, so that there is no endless loop. A pattern, with `*`, `?`, `[…]`, or `**` for
    any number of folders, stands for the files and, without `**`, the folders that it matches,
    sorted. A path that exists is no pattern. A file that is named twice comes twice.

    Args:
      paths: of files, which are not read, of folders, and patterns.
      endings: of files in folders, in lower case.

    Yields:
      A file and None; or a path and why it names no file.
    """
    for path in paths:
        try:
            yield from _files(path, endings)
        except UserError as error:
            yield path, error


def _files(path: str, endings: Sequence[str]) -> Iterator[tuple[str, UserError | None]]:
    if _is_folder(path):
        yield from _below(path, endings)
    elif glob.has_magic(path) and not _exists(path):
        yield from _matched(path, endings)
    else:
        yield path, None


def _is_folder(path: str) -> bool:
    # TensorFlow would take much longer for a local path.
    return bool(tf.io.gfile.isdir(path)) if is_remote(path) else os.path.isdir(path)


def _exists(path: str) -> bool:
    return bool(tf.io.gfile.exists(path)) if is_remote(path) else os.path.lexists(path)


def _below(path: str, endings: Sequence[str]) -> Iterator[tuple[str, UserError | None]]:
    """The files below a folder; an error if there are none."""
    empty = True
    for found in _walk(path, endings):
        empty = False
        yield found
    if empty:
        raise UserError(f"{path} contains no file with one of the endings {' '.join(endings)}")


def _walk(path: str, endings: Sequence[str]) -> Iterator[tuple[str, UserError | None]]:
    try:
        entries = _entries(path)
    except UserError as error:
        yield path, error
        return
    for entry in entries:
        if not entry.is_folder and entry.name.lower().endswith(tuple(endings)):
            yield os.path.join(path, entry.name), None
    for entry in entries:
        if entry.is_folder and not entry.is_link:
            yield from _walk(os.path.join(path, entry.name), endings)


def _matched(pattern: str, endings: Sequence[str]) -> Iterator[tuple[str, UserError | None]]:
    """The files that a pattern matches; an error if it matches nothing."""
    *folders, last = pattern.split("/")
    fixed: list[str] = []
    while folders and not glob.has_magic(folders[0]):
        fixed.append(folders.pop(0))
    base = "/".join(fixed) or ("/" if fixed else "")
    is_recursive = _RECURSIVE in (*folders, last)
    empty = True
    for path, is_folder in _expanded(base, (*folders, last)):
        if is_folder and is_recursive:
            continue
        empty = False
        if is_folder:
            yield from input_files([path], endings)
        else:
            yield path, None
    if empty:
        raise UserError(f"no file matches the pattern {pattern}")


def _expanded(folder: str, parts: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """The paths below a folder that match the parts of a pattern, and whether they are folders."""
    part, *rest = parts
    if part == _RECURSIVE:
        # No folder between, then each folder below.
        yield from _expanded(folder, rest or ("*",))
        for entry in _entries(folder):
            if entry.is_folder and not entry.is_link:
                yield from _expanded(os.path.join(folder, entry.name), parts)
        return
    for entry in _entries(folder):
        if not fnmatch.fnmatchcase(entry.name, part):
            continue
        path = os.path.join(folder, entry.name)
        if not rest:
            yield path, entry.is_folder
        elif entry.is_folder:
            yield from _expanded(path, rest)


def _entries(folder: str) -> list[_Entry]:
    """What a folder contains, sorted, without what is hidden.

    Raises:
      UserError: if it cannot be read.
    """
    try:
        found = _remote(folder) if is_remote(folder) else _local(folder or ".")
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from error
    except tf.errors.OpError as error:
        raise UserError(f"{folder} cannot be read ({type(error).__name__})") from error
    return sorted(entry for entry in found if not entry.name.startswith("."))


def _local(folder: str) -> list[_Entry]:
    with os.scandir(folder) as entries:
        return [_Entry(each.name, each.is_dir(), each.is_symlink()) for each in entries]


def _remote(folder: str) -> list[_Entry]:
    # An object store ends the names of folders in a slash, and takes a request for each question
    # whether a name is one.
    names: list[str] = tf.io.gfile.listdir(folder)
    return [
        _Entry(
            name.rstrip("/"),
            name.endswith("/")
            or ("." not in name and tf.io.gfile.isdir(os.path.join(folder, name))),
            False,
        )
        for name in names
    ]

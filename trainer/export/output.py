"""Where an export is written: first to a temporary folder, then as a whole to its place."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

from trainer.compat.keras import tf
from trainer.errors import UserError
from trainer.io.paths import check_bucket, is_remote


def check_new(output: str) -> None:
    """Checks that nothing is where an export is to be written.

    Raises:
      UserError: if `output` is a file, or a folder that is not empty.
    """
    if is_remote(output):
        check_bucket(output)
    if tf.io.gfile.exists(output) and (
        not tf.io.gfile.isdir(output) or tf.io.gfile.listdir(output)
    ):
        raise UserError(f"--output must be a new or empty directory. Received: {output!r}")


@contextlib.contextmanager
def new_folder(output: str) -> Iterator[str]:
    """A local folder whose files are in `output` if the context ends without an exception.

    Raises:
      UserError: if `output` cannot be written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.join(temporary, "export")
        os.mkdir(folder)
        yield folder
        try:
            _publish(folder, output)
        except OSError as error:
            raise UserError(f"--output={output} cannot be written: {error.strerror}") from error


def _publish(folder: str, output: str) -> None:
    if is_remote(output):
        for name, _, files in os.walk(folder):
            for file in files:
                local = os.path.join(name, file)
                target = os.path.join(output, os.path.relpath(local, folder))
                tf.io.gfile.copy(local, target)
        return
    partial = f"{os.path.normpath(output)}.tmp"
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    shutil.copytree(folder, partial)
    if os.path.isdir(output):
        os.rmdir(output)
    os.rename(partial, output)


@contextlib.contextmanager
def existing_folder(output: str) -> Iterator[str]:
    """A local folder with the files of an export, which may be remote.

    Raises:
      UserError: if there is no such folder.
    """
    if not tf.io.gfile.isdir(output):
        raise UserError(f"--output={output} is no directory, so that there is nothing to check")
    if not is_remote(output):
        yield output
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, _, files in tf.io.gfile.walk(output):
            local = os.path.join(folder, os.path.relpath(name, output))
            os.makedirs(local, exist_ok=True)
            for file in files:
                tf.io.gfile.copy(os.path.join(name, file), os.path.join(local, file))
        yield folder

"""Where an export is written: first to a temporary folder, then as a whole to its place."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

from trainer.compat.keras import tf
from trainer.errors import UserError
from trainer.export import description
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
    if not is_remote(output) and os.path.realpath(output) == os.getcwd():
        raise UserError(
            f"--output must not be the current directory; name a new one. Received: {output!r}"
        )


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
            if is_remote(output):
                _upload(folder, output)
            else:
                _move(folder, os.path.abspath(output))
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(f"--output={output} cannot be written: {reason}") from error
        except tf.errors.OpError as error:
            raise UserError(
                f"--output={output} cannot be written ({type(error).__name__})"
            ) from error


def _upload(folder: str, output: str) -> None:
    """Copies files to an object store; the description, without which it is no export, last."""
    files = [os.path.join(name, file) for name, _, names in os.walk(folder) for file in names]
    for local in sorted(files, key=lambda file: os.path.basename(file) == description.NAME):
        tf.io.gfile.copy(local, os.path.join(output, os.path.relpath(local, folder)))


def _move(folder: str, output: str) -> None:
    """Moves a folder, perhaps to another disk, so that it appears as a whole."""
    parent = os.path.dirname(output)
    os.makedirs(parent, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".export-") as partial:
        copied = shutil.copytree(folder, os.path.join(partial, "export"))
        os.rename(copied, output)


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

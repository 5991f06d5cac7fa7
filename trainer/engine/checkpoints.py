"""Checkpoints that are whole or absent.

A checkpoint is a folder `checkpoints/00000100` with TensorFlow's files and, written last,
a `manifest.json` with the size and digest of each and the loop's own state. A folder
without a manifest, or with files that differ from it, does not count.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from trainer.compat.keras import tf
from trainer.io.files import write_json

_PREFIX = "state"
_MANIFEST = "manifest.json"


@dataclasses.dataclass(frozen=True)
class Found:
    """A checkpoint that was found whole: its step, folder and the loop's state."""

    step: int
    path: str
    loop_state: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of one run, of which the newest few and the best are kept."""

    def __init__(
        self,
        directory: str,
        keep: int,
        worker: int = 0,
        is_chief: bool = True,
        barrier: Callable[[], None] = lambda: None,
    ):
        """Opens a folder of checkpoints, creating nothing.

        Every worker calls `save` and `newest` at the same places, since gathering a
        distributed variable needs them all; the chief's files are those that count.

        Args:
          directory: the folder, which all workers see.
          keep: how many of the newest to keep.
          worker: this process's number, to keep the others' files apart.
          is_chief: whether this process's files count.
          barrier: returns once every worker has called it.
        """
        self._directory = directory
        self._keep = keep
        self._worker = worker
        self._is_chief = is_chief
        self._barrier = barrier

    def save(
        self, step: int, state: tf.train.Checkpoint, loop_state: Mapping[str, Any], best_step: int
    ) -> None:
        """Writes a checkpoint and, once it counts, removes those no longer kept.

        Args:
          step: names the folder.
          state: everything in TensorFlow that a resume needs.
          loop_state: JSON-serializable; kept in the manifest.
          best_step: the step whose checkpoint must stay; -1 is none.
        """
        path = self._path(step)
        if not self._is_chief:
            path = os.path.join(self._directory, f".worker-{self._worker}")
        if tf.io.gfile.exists(path):
            tf.io.gfile.rmtree(path)
        tf.io.gfile.makedirs(path)
        state.write(os.path.join(path, _PREFIX))
        if self._is_chief:
            self._commit(step, path, loop_state)
            for old in self.steps()[self._keep :]:
                if old != best_step:
                    tf.io.gfile.rmtree(self._path(old))
        else:
            tf.io.gfile.rmtree(path)
        self._barrier()

    def _commit(self, step: int, path: str, loop_state: Mapping[str, Any]) -> None:
        files = {
            file: _fingerprint(os.path.join(path, file))
            for file in sorted(tf.io.gfile.listdir(path))
        }
        manifest = {"step": step, "files": files, "loop": dict(loop_state)}
        write_json(os.path.join(path, _MANIFEST), manifest)

    def newest(self) -> tuple[Found | None, list[str]]:
        """The newest whole checkpoint, and a line for each newer one that is not."""
        newest, complaints = None, []
        for step in self.steps():
            newest, reason = self.find(step)
            if newest:
                break
            complaints.append(f"checkpoint {self._path(step)} is damaged ({reason})")
        # Nobody may write a newer one while somebody still looks.
        self._barrier()
        return newest, complaints

    def find(self, step: int) -> tuple[Found | None, str]:
        """The checkpoint of a step if it is whole, else why it does not count."""
        path = self._path(step)
        try:
            with tf.io.gfile.GFile(os.path.join(path, _MANIFEST)) as file:
                manifest = json.loads(file.read())
            for name, expected in manifest["files"].items():
                if _fingerprint(os.path.join(path, name)) != expected:
                    return None, f"{name} is not as it was written"
        except tf.errors.NotFoundError:
            return None, "it was not finished"
        except (ValueError, KeyError) as error:
            return None, f"{_MANIFEST} is unreadable: {error}"
        return Found(step, path, manifest["loop"]), ""

    def steps(self) -> list[int]:
        """The steps of the checkpoint folders, newest first, whole or not."""
        if not tf.io.gfile.exists(self._directory):
            return []
        names = [name.rstrip("/") for name in tf.io.gfile.listdir(self._directory)]
        return sorted((int(name) for name in names if name.isdigit()), reverse=True)

    def _path(self, step: int) -> str:
        return os.path.join(self._directory, f"{step:08d}")


def restore(found: Found, state: tf.train.Checkpoint) -> None:
    """Reads a checkpoint into `state`, all of it.

    Raises:
      AssertionError: if an object of `state` has no value in the checkpoint.
    """
    status = state.read(os.path.join(found.path, _PREFIX))
    status.assert_existing_objects_matched()


def _fingerprint(path: str) -> dict[str, Any]:
    digest = hashlib.blake2b(digest_size=16)
    size = 0
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
            size += len(block)
    return {"bytes": size, "blake2b": digest.hexdigest()}

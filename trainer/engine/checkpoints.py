"""Checkpoints that are complete or ignored.

A checkpoint is a folder `checkpoints/00000100` with TensorFlow's files and, written last,
a `manifest.json` with the size and digest of each file and the loop's own state. A folder
without a manifest, or with files that differ from it, is skipped.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from trainer.compat.keras import tf
from trainer.io import fence
from trainer.io.files import write_json

_PREFIX = "state"
_MANIFEST = "manifest.json"

# Trackable objects of TensorFlow by name.
State = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class CheckpointInfo:
    """A complete checkpoint: its step, folder and the loop's state."""

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
        self,
        step: int,
        state: State,
        accumulators: State,
        loop_state: Mapping[str, Any],
        best_step: int,
    ) -> None:
        """Writes a checkpoint and, once it is complete, removes those no longer kept.

        Args:
          step: names the folder.
          state: what a resume must restore.
          accumulators: what it may lack; see `restore`.
          loop_state: JSON-serializable; stored in the manifest.
          best_step: the step whose checkpoint is kept; -1 is none.
        """
        fence.check()
        path = self._path(step)
        if not self._is_chief:
            path = os.path.join(self._directory, f".worker-{self._worker}")
        if tf.io.gfile.exists(path):
            tf.io.gfile.rmtree(path)
        tf.io.gfile.makedirs(path)
        whole = tf.train.Checkpoint(accumulators=tf.train.Checkpoint(**accumulators), **state)
        whole.write(os.path.join(path, _PREFIX))
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

    def newest(self) -> tuple[CheckpointInfo | None, list[str]]:
        """The newest complete checkpoint, and a reason for each newer one that was skipped."""
        newest, skipped = None, []
        for step in self.steps():
            newest, reason = self.find(step)
            if newest:
                break
            skipped.append(f"checkpoint {self._path(step)} is corrupt ({reason})")
        # No worker may write a newer one while another is still reading.
        self._barrier()
        return newest, skipped

    def find(self, step: int) -> tuple[CheckpointInfo | None, str]:
        """The checkpoint of a step if it is complete, else the reason why it is not."""
        path = self._path(step)
        try:
            with tf.io.gfile.GFile(os.path.join(path, _MANIFEST)) as file:
                manifest = json.loads(file.read())
            for name, expected in manifest["files"].items():
                if _fingerprint(os.path.join(path, name)) != expected:
                    return None, f"{name} has changed since it was written"
        except tf.errors.NotFoundError:
            return None, "it is incomplete"
        except (ValueError, KeyError) as error:
            return None, f"{_MANIFEST} is unreadable: {error}"
        return CheckpointInfo(step, path, manifest["loop"]), ""

    def steps(self) -> list[int]:
        """The steps of the checkpoint folders, newest first, complete or not."""
        if not tf.io.gfile.exists(self._directory):
            return []
        names = [name.rstrip("/") for name in tf.io.gfile.listdir(self._directory)]
        return sorted((int(name) for name in names if name.isdigit()), reverse=True)

    def _path(self, step: int) -> str:
        return os.path.join(self._directory, f"{step:08d}")


def restore(found: CheckpointInfo, state: State, accumulators: State | None = None) -> None:
    """Reads a checkpoint.

    Args:
      found: the checkpoint.
      state: restored entirely: weights, optimizer, position. May be a part of what was saved.
      accumulators: one that the checkpoint lacks keeps its value, so that a checkpoint from
        before it was added can still be read.

    Raises:
      AssertionError: if an object of `state` has no value in the checkpoint.
    """
    prefix = os.path.join(found.path, _PREFIX)
    tf.train.Checkpoint(**state).read(prefix).assert_existing_objects_matched()
    if accumulators:
        optional = tf.train.Checkpoint(accumulators=tf.train.Checkpoint(**accumulators))
        optional.read(prefix).expect_partial()


def _fingerprint(path: str) -> dict[str, Any]:
    digest = hashlib.blake2b(digest_size=16)
    size = 0
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
            size += len(block)
    return {"bytes": size, "blake2b": digest.hexdigest()}

"""Checkpoints that are complete or ignored.

A checkpoint is a folder `checkpoints/00000100` with TensorFlow's files and, written last,
a `manifest.json` with the size and digest of each file and the loop's own state. A folder
without a manifest, or with files that differ from it, is skipped. Saving a step again writes
files of other names and then replaces the manifest, so the old version is complete until the
new one is.
"""

import dataclasses
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from trainer.compat.keras import tf
from trainer.errors import UserError
from trainer.io import fence
from trainer.io.files import sync, write_json
from trainer.io.paths import is_remote

_MANIFEST = "manifest.json"
# The version of the manifest's content; another version's checkpoints cannot be resumed.
_FORMAT = 2

# Trackable objects of TensorFlow by name.
State = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class CheckpointInfo:
    """A complete checkpoint.

    Attributes:
      step: the step it was saved at.
      path: its folder.
      files: size and digest of its files, by name.
      loop_state: the loop's state.
    """

    step: int
    path: str
    files: Mapping[str, Any]
    loop_state: Mapping[str, Any]

    @property
    def prefix(self) -> str:
        """What TensorFlow's readers take as the checkpoint's path."""
        prefix = self._prefix("state-") or self._prefix("best-")
        assert prefix is not None, "the manifest names one of them"
        return prefix

    @property
    def is_whole(self) -> bool:
        """Whether a run can be resumed from it; of the best only a part may be kept."""
        return self._prefix("state-") is not None

    def prefix_of_worker(self, worker: int) -> str | None:
        """The same of what a worker saved for itself; None if it saved nothing."""
        return self._prefix(f"worker-{worker}-state-")

    def _prefix(self, start: str) -> str | None:
        for file in self.files:
            if file.startswith(start) and file.endswith(".index"):
                return os.path.join(self.path, file.removesuffix(".index"))
        return None


class Checkpoints:
    """The checkpoints of one run, of which the newest few and the best are kept."""

    def __init__(
        self,
        directory: str,
        keep: int,
        worker: int = 0,
        is_chief: bool = True,
        workers: int = 1,
        share: Callable[[str], list[str]] = lambda text: [text],
    ):
        """Opens a folder of checkpoints, creating nothing.

        Every worker calls `save`, `update` and `newest` at the same places, since gathering a
        distributed variable needs them all. Of what the workers have in common, the chief's files
        count; each worker also saves what is its own.

        Args:
          directory: the folder, which all workers see.
          keep: how many of the newest to keep.
          worker: this process's number, to keep the others' files apart.
          is_chief: whether this process's files count.
          workers: their number.
          share: the texts of all workers, once every worker has called it.
        """
        self._directory = directory
        self._keep = keep
        self._worker = worker
        self._is_chief = is_chief
        self._workers = workers
        self._share = share
        # The step of the newest best checkpoint that this process has written.
        self._best_written = -1

    def save(
        self,
        step: int,
        state: State,
        accumulators: State,
        loop_state: Mapping[str, Any],
        best_step: int,
        local_state: State | None = None,
        best_state: State | None = None,
    ) -> None:
        """Writes a checkpoint and, once it is complete, removes those no longer kept.

        Checkpoints of later steps are removed too: the run was rolled back behind them.

        Args:
          step: names the folder.
          state: what a resume must restore.
          accumulators: what it may lack; see `restore`.
          loop_state: JSON-serializable; stored in the manifest.
          best_step: the step whose checkpoint is kept; -1 is none.
          local_state: what a resume must restore in this process alone.
          best_state: what is kept of the best checkpoint once it is not one of the newest; None
            keeps all of it.
        """
        fence.check()
        path = self._path(step)
        local = dict(local_state or {})
        common = {**state, "accumulators": tf.train.Checkpoint(**accumulators)}
        if self._workers == 1:
            common, local = {**common, **local}, {}
        files = self._write_common(step, "state", common)
        if best_state and step == best_step:
            files.update(self._write_common(step, "best", best_state))
        if local:
            files.update(_write(path, f"worker-{self._worker}-state", local))
        if files:
            _sync(self._directory, path, *(os.path.join(path, file) for file in files))
        shares = self._share(json.dumps(files))
        if self._is_chief:
            for text in shares:
                files.update(json.loads(text))
            self._replace(step, files, loop_state)
            self._prune(step, best_step)
        self._barrier()

    def update(
        self,
        step: int,
        loop_state: Mapping[str, Any],
        best_step: int,
        best_state: State | None = None,
    ) -> None:
        """Replaces the loop's state in the checkpoint of `step`, whose variables are unchanged."""
        files = {}
        if best_state and step == best_step != self._best_written:
            files = self._write_common(step, "best", best_state)
        if self._is_chief:
            found, reason = self.find(step)
            if found is None:
                raise UserError(f"checkpoint {self._path(step)} was damaged by another: {reason}")
            kept = _without_best(found.files) if files else found.files
            self._replace(step, {**kept, **files}, loop_state)
            self._prune(step, best_step)
        self._barrier()

    def _write_common(self, step: int, kind: str, objects: State) -> dict[str, Any]:
        """Writes what the workers have in common; returns the chief's files."""
        if kind == "best":
            self._best_written = step
        if self._is_chief:
            return _write(self._path(step), kind, objects)
        # The chief's are those that count, but all workers must gather the variables.
        copy = os.path.join(self._directory, f".worker-{self._worker}")
        _write(copy, kind, objects)
        tf.io.gfile.rmtree(copy)
        return {}

    def _barrier(self) -> None:
        self._share("")

    def restore(
        self,
        found: CheckpointInfo,
        state: State,
        accumulators: State,
        local_state: State | None = None,
    ) -> None:
        """Reads everything that this worker saved; see the function `restore`.

        Raises:
          UserError: if this worker saved nothing of its own.
        """
        local = dict(local_state or {})
        if self._workers == 1:
            restore(found, {**state, **local}, accumulators)
            return
        restore(found, state, accumulators)
        if not local:
            return
        prefix = found.prefix_of_worker(self._worker)
        if prefix is None:
            raise UserError(
                f"checkpoint {found.path} has no state of worker {self._worker}; resume with as "
                f"many workers as saved it. Received: {self._workers} workers"
            )
        tf.train.Checkpoint(**local).read(prefix).assert_existing_objects_matched()

    def _replace(self, step: int, files: Mapping[str, Any], loop_state: Mapping[str, Any]) -> None:
        """Makes these files the checkpoint of `step`, and removes all others."""
        path = self._path(step)
        manifest = {"format": _FORMAT, "step": step, "files": files, "loop": dict(loop_state)}
        write_json(os.path.join(path, _MANIFEST), manifest)
        for file in _list(path):
            if file not in files and file != _MANIFEST:
                _remove(os.path.join(path, file))

    def _prune(self, step: int, best_step: int) -> None:
        kept = 0
        for other in self.steps():
            path = self._path(other)
            if other <= step and kept < self._keep and _is_whole(path):
                kept += 1
            elif other == best_step and other <= step:
                self._keep_best(other)
            else:
                # First the manifest: what a kill leaves of the folder is incomplete.
                _remove(os.path.join(path, _MANIFEST))
                _remove(path)

    def _keep_best(self, step: int) -> None:
        """Removes from a checkpoint what its use as the best does not need."""
        found, _ = self.find(step)
        if found is None:
            return
        files = {name: value for name, value in found.files.items() if name.startswith("best-")}
        if not files:
            return
        self._replace(step, files, found.loop_state)

    def newest(self, skip: int = 0) -> tuple[CheckpointInfo | None, list[str]]:
        """The newest complete checkpoint, and a reason for each damaged one that was passed over.

        Args:
          skip: how many newer complete ones to skip, as long as there is an older one.
        """
        newest, damaged = None, []
        for step in self.steps():
            found, reason = self.find(step)
            if found is not None and not found.is_whole:
                continue
            newest = found or newest
            if found is None:
                damaged.append(f"checkpoint {self._path(step)} is corrupt ({reason})")
            elif not skip:
                break
            else:
                skip -= 1
        # No worker may write a newer one while another is still reading.
        self._barrier()
        return newest, damaged

    def newest_partial(self) -> CheckpointInfo | None:
        """The newest complete checkpoint of which only a part was kept."""
        found = (self.find(step)[0] for step in self.steps())
        return next((one for one in found if one is not None and not one.is_whole), None)

    def find(self, step: int) -> tuple[CheckpointInfo | None, str]:
        """The checkpoint of a step if it is complete, else the reason why it is not.

        Raises:
          UserError: if another version of trainer wrote it.
        """
        path = self._path(step)
        try:
            manifest = _read_manifest(path)
            for name, expected in manifest["files"].items():
                if _fingerprint(os.path.join(path, name)) != expected:
                    return None, f"{name} has changed since it was written"
            return CheckpointInfo(step, path, manifest["files"], manifest["loop"]), ""
        except tf.errors.NotFoundError:
            return None, "it is incomplete"
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return None, f"{_MANIFEST} is unreadable: {error}"

    def steps(self) -> list[int]:
        """The steps of the checkpoint folders, newest first, complete or not."""
        return sorted(
            (int(name) for name in _list(self._directory) if name.isdigit()), reverse=True
        )

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
    tf.train.Checkpoint(**state).read(found.prefix).assert_existing_objects_matched()
    if accumulators:
        optional = tf.train.Checkpoint(accumulators=tf.train.Checkpoint(**accumulators))
        optional.read(found.prefix).expect_partial()


def _read_manifest(path: str) -> Mapping[str, Any]:
    with tf.io.gfile.GFile(os.path.join(path, _MANIFEST)) as file:
        manifest: Mapping[str, Any] = json.loads(file.read())
    version = manifest.get("format", 1)
    if version != _FORMAT:
        raise UserError(
            f"{path} has checkpoint format {version}, and this version of trainer reads format "
            f"{_FORMAT}; use the version that trained it, or train in another --workdir"
        )
    return manifest


def _without_best(files: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in files.items() if not name.startswith("best-")}


def _is_whole(path: str) -> bool:
    """Whether a run can be resumed from a folder, by its manifest and the sizes of its files."""
    try:
        files = _read_manifest(path)["files"]
        return bool(_without_best(files)) and all(
            tf.io.gfile.stat(os.path.join(path, name)).length == expected["bytes"]
            for name, expected in files.items()
        )
    except (tf.errors.NotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _write(path: str, kind: str, objects: State) -> dict[str, Any]:
    """Writes files under an unused name; returns their sizes and digests by name."""
    tf.io.gfile.makedirs(path)
    used = {file.partition(".")[0].removesuffix("_temp") for file in _list(path)}
    name = next(name for n in itertools.count() if (name := f"{kind}-{n}") not in used)
    tf.train.Checkpoint(**objects).write(os.path.join(path, name))
    return {
        file: _fingerprint(os.path.join(path, file))
        for file in _list(path)
        if file.startswith(f"{name}.")
    }


def _list(directory: str) -> list[str]:
    if not tf.io.gfile.exists(directory):
        return []
    return sorted(name.rstrip("/") for name in tf.io.gfile.listdir(directory))


def _remove(path: str) -> None:
    if tf.io.gfile.isdir(path):
        tf.io.gfile.rmtree(path)
    elif tf.io.gfile.exists(path):
        tf.io.gfile.remove(path)


def _sync(*paths: str) -> None:
    for path in paths:
        if not is_remote(path):
            sync(path)


def _fingerprint(path: str) -> dict[str, Any]:
    digest = hashlib.blake2b(digest_size=16)
    size = 0
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
            size += len(block)
    return {"bytes": size, "blake2b": digest.hexdigest()}

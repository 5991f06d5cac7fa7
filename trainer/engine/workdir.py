"""A work directory: where things lie, and whether it may be used for an experiment.

Any path that tf.io.gfile opens will do, `gs://` included.
"""

import dataclasses
import json
import os
from typing import Any

from trainer.compat.keras import tf
from trainer.config import loading
from trainer.config.inspection import differences
from trainer.errors import UserError

# More of these is the one change that goes on in the same work directory.
_MAY_GROW = ("train.steps", "train.epochs", "seeds")


@dataclasses.dataclass(frozen=True)
class WorkDirectory:
    """The paths of one run."""

    path: str

    @property
    def config(self) -> str:
        """The resolved configuration."""
        return os.path.join(self.path, "config.json")

    @property
    def signature(self) -> str:
        """What prediction must know of the data: shapes, classes, normalization."""
        return os.path.join(self.path, "signature.json")

    @property
    def metrics(self) -> str:
        """One JSON object a report."""
        return os.path.join(self.path, "metrics.jsonl")

    @property
    def result(self) -> str:
        """Written once, at the end."""
        return os.path.join(self.path, "result.json")

    @property
    def checkpoints(self) -> str:
        """The folder of checkpoints."""
        return os.path.join(self.path, "checkpoints")

    @property
    def tensorboard(self) -> str:
        """The folder of event files."""
        return os.path.join(self.path, "tensorboard")


def check_usable(path: str, experiment: loading.Experiment) -> None:
    """Refuses a work directory that is not this experiment's; creates nothing.

    Raises:
      UserError: if it cannot be written, holds something else, or belongs to an
        experiment that differs in more than its length.
    """
    if not path:
        raise UserError("--workdir=DIR says where the run is kept. Received: ''")
    workdir = WorkDirectory(path)
    _check_writable(path)
    if tf.io.gfile.exists(workdir.config):
        fields = [
            difference
            for difference in differences(load_experiment(path), experiment)
            if not difference.startswith(_MAY_GROW)
        ]
        if fields:
            raise UserError(
                f"--workdir holds a run of another configuration ({'; '.join(fields)}); take "
                f"another directory or the same configuration. Received: {path!r}"
            )
    elif tf.io.gfile.exists(path) and tf.io.gfile.listdir(path):
        raise UserError(
            "--workdir is not empty and holds no config.json, so it is no run of ours; take "
            f"another directory. Received: {path!r}"
        )


def _check_writable(path: str) -> None:
    if "://" in path:
        check_bucket(path)
        return
    existing = os.path.abspath(path)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        raise UserError(f"--workdir: {existing} is a file, not a directory. Received: {path!r}")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"--workdir: {existing} may not be written. Received: {path!r}")


def check_bucket(path: str) -> None:
    """Refuses a remote path whose bucket cannot be looked into.

    TensorFlow would ask for a missing bucket again and again, without end.

    Raises:
      UserError: if the bucket is missing, or neither network nor permission leads to it.
    """
    bucket = "/".join(path.split("/")[:3])
    try:
        exists = tf.io.gfile.exists(bucket)
    except tf.errors.OpError as error:
        raise UserError(
            f"{bucket} cannot be reached ({type(error).__name__}); look at the network, and log "
            f"in: gcloud auth application-default login. Received: {path!r}"
        ) from error
    if not exists:
        raise UserError(
            f"there is no bucket {bucket}; make it: gcloud storage buckets create {bucket}. "
            f"Received: {path!r}"
        )


def load_experiment(path: str) -> loading.Experiment:
    """The experiment of an existing run.

    Raises:
      UserError: if `path` is no work directory.
    """
    config = WorkDirectory(path).config
    if not path or not tf.io.gfile.exists(config):
        raise UserError(
            f"--workdir is no work directory of a run: it has no config.json. Received: {path!r}"
        )
    return read_experiment(config)


def read_experiment(config: str) -> loading.Experiment:
    """The experiment of a config.json.

    Raises:
      UserError: if it is missing, or no configuration.
    """
    if "://" in config:
        check_bucket(config)
    if not tf.io.gfile.exists(config):
        raise UserError(f"there is no configuration file. Received: {config!r}")
    with tf.io.gfile.GFile(config) as file:
        return loading.from_json(file.read(), config)


def read_json(path: str) -> Any:
    """The content of a JSON file of ours."""
    with tf.io.gfile.GFile(path) as file:
        return json.loads(file.read())


def write_atomically(path: str, text: str) -> None:
    """Writes a file so that a reader sees all of it or what was there before."""
    if "://" in path:
        # An object store shows an object only once it is complete.
        with tf.io.gfile.GFile(path, "w") as file:
            file.write(text)
        return
    temporary = f"{path}.tmp"
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def write_json(path: str, value: Any) -> None:
    """Writes JSON atomically."""
    write_atomically(path, json.dumps(value, indent=2) + "\n")

"""Local paths and remote paths such as `gs://bucket/folder`. Imports TensorFlow for remote ones."""

import os
from pathlib import Path

from trainer.errors import UserError

PathLike = str | os.PathLike[str]


def is_remote(path: PathLike) -> bool:
    """Whether a path has a scheme, as in `gs://bucket/folder`."""
    return "://" in os.fspath(path)


def to_path(path: PathLike) -> Path:
    """A path object: pathlib's, or etils.epath's with the same methods for a remote path."""
    if not is_remote(path):
        return Path(path)
    # epath reads gs:// through TensorFlow, which must be imported with the right Keras.
    from etils import epath

    import trainer.compat.keras  # noqa: F401

    remote: Path = epath.Path(path)
    return remote


def nearest_existing(path: PathLike) -> str:
    """The absolute local path itself, or its nearest parent that exists."""
    existing = os.path.abspath(path)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    return existing


def bucket_of(path: str) -> str:
    """The bucket of a remote path: `gs://bucket` for `gs://bucket/folder`."""
    return "/".join(path.split("/")[:3])


def check_bucket(path: str) -> None:
    """Checks that the bucket of a remote path exists and can be read.

    Call it before writing: TensorFlow's makedirs retries without end in a missing bucket.

    Raises:
      UserError: if the bucket is missing, or cannot be reached.
    """
    from trainer.compat.keras import tf

    bucket = bucket_of(path)
    try:
        exists = tf.io.gfile.exists(bucket)
    except tf.errors.OpError as error:
        raise UserError(
            f"cannot reach {bucket} ({type(error).__name__}); check the network, and log in with: "
            "gcloud auth application-default login"
        ) from error
    if not exists:
        raise UserError(
            f"bucket {bucket} does not exist; create it with: "
            f"gcloud storage buckets create {bucket}"
        )

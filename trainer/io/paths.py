"""Files of the user, local or at any path that TensorFlow opens."""

from trainer.compat.keras import tf
from trainer.errors import UserError


def read_bytes(path: str) -> bytes:
    """The content of a file.

    Raises:
      UserError: if it is missing, a folder, or cannot be read.
    """
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            return bytes(file.read())
    except tf.errors.NotFoundError:
        raise UserError(f"there is no such file. Received: {path!r}") from None
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0]
        raise UserError(f"the file cannot be read ({reason}). Received: {path!r}") from error

"""What a model builder needs beside its section and its input."""

import dataclasses

from trainer.compat.keras import tf
from trainer.errors import UserError
from trainer.models.dropout import Dropout


@dataclasses.dataclass(frozen=True)
class Context:
    """The experiment's seed and its update counter.

    Attributes:
      seed: seed of the experiment.
      step: scalar int64 variable, number of updates so far.
    """

    seed: int
    step: tf.Variable

    def dropout(self, rate: float, name: str) -> Dropout:
        """A dropout layer whose masks depend on `name`, which must be unique in the network."""
        return Dropout(rate, self.seed, self.step, name=name)


def require_images(inputs: tf.Tensor, kind: str) -> None:
    """Checks that a convolutional network receives images `[B, H, W, C]`.

    Raises:
      UserError: for any other rank.
    """
    if len(inputs.shape) != 4:
        raise UserError(
            f"model.kind {kind!r} needs images; use mlp or linear for examples of shape "
            f"{tuple(inputs.shape[1:])}"
        )

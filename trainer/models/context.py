"""What a model builder needs beside its section and its input, and what it returns."""

import dataclasses

from trainer.compat.keras import tf
from trainer.errors import UserError
from trainer.models.batch_norm import BatchNormalization
from trainer.models.dropout import Dropout
from trainer.models.stochastic_depth import StochasticDepth


@dataclasses.dataclass(frozen=True)
class Context:
    """The experiment's seed, its update counter and its batch normalization.

    Attributes:
      seed: seed of the experiment.
      step: scalar int64 variable, number of updates so far.
      batch_norm_group: examples whose statistics batch normalization uses; 0 for all examples
        of a replica.
    """

    seed: int
    step: tf.Variable
    batch_norm_group: int = 0

    def dropout(self, rate: float, name: str) -> Dropout:
        """A dropout layer whose masks depend on `name`, which must be unique in the network."""
        return Dropout(rate, self.seed, self.step, name=name)

    def stochastic_depth(self, rate: float, name: str) -> StochasticDepth:
        """A layer that drops a residual branch; its masks depend on `name`, like dropout's."""
        return StochasticDepth(rate, self.seed, self.step, name=name)

    def batch_norm(self) -> BatchNormalization:
        """A batch normalization layer with the experiment's group size."""
        return BatchNormalization(self.batch_norm_group)


@dataclasses.dataclass(frozen=True)
class Auxiliary:
    """Features of a lower layer that a classifier of their own trains (Szegedy et al., 2015).

    Attributes:
      features: symbolic, `[B, F]`.
      weight: factor of this classifier's loss.
    """

    features: tf.Tensor
    weight: float


@dataclasses.dataclass(frozen=True)
class Features:
    """What a builder returns that has auxiliary classifiers; others return a tensor.

    Attributes:
      main: symbolic, `[B, F]`; the only ones in evaluation.
      auxiliary: for training.
    """

    main: tf.Tensor
    auxiliary: tuple[Auxiliary, ...] = ()


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

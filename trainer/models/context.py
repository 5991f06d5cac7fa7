"""What a model builder needs beside its section and its input, and what it returns."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import keras, tf
from trainer.errors import UserError
from trainer.models.batch_norm import BatchNormalization
from trainer.models.dropout import Dropout
from trainer.models.stochastic_depth import StochasticDepth


@dataclasses.dataclass(frozen=True)
class Context:
    """The experiment's seed, its update counter, its batch normalization and its examples.

    Attributes:
      seed: seed of the experiment.
      step: scalar int64 variable, number of updates so far.
      batch_norm_group: examples whose statistics batch normalization uses; 0 for all examples
        of a replica.
      sample: the first examples of the training split, at most the given number, for
        initialization: normalized float32 `[n, *input_shape]`, in parts. None where there are
        none, as for agents, and where weights are restored.
      embeddings: of tables, numbers of categories and dimensions of the last inputs, which are
        category numbers; see `Signature`.
    """

    seed: int
    step: tf.Variable
    batch_norm_group: int = 0
    sample: Callable[[int], Iterator[NDArray[np.float32]]] | None = None
    embeddings: tuple[tuple[int, int], ...] = ()

    def dropout(self, rate: float, name: str) -> Dropout:
        """A dropout layer whose masks depend on `name`, which must be unique in the network."""
        return Dropout(rate, self.seed, self.step, name=name)

    def stochastic_depth(self, rate: float, name: str) -> StochasticDepth:
        """A layer that drops a residual branch; its masks depend on `name`, like dropout's."""
        return StochasticDepth(rate, self.seed, self.step, name=name)

    def batch_norm(
        self,
        momentum: float = 0.9,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
    ) -> BatchNormalization:
        """A batch normalization layer with the experiment's group size."""
        return BatchNormalization(self.batch_norm_group, momentum, epsilon, center, scale)


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
class Head:
    """How the task creates the affine output layer, which is float32.

    Attributes:
      use_bias: whether it has a bias.
      initializer: of its kernel, by name or as an initializer.
    """

    use_bias: bool = True
    initializer: str | keras.initializers.Initializer = "glorot_uniform"


@dataclasses.dataclass(frozen=True)
class Features:
    """What a builder returns that needs more than the usual head; others return a tensor.

    Attributes:
      main: symbolic, `[B, F]`; the only ones in evaluation.
      auxiliary: for training.
      head: of the main features.
    """

    main: tf.Tensor
    auxiliary: tuple[Auxiliary, ...] = ()
    head: Head = Head()


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

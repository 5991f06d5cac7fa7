"""The network of a classification run, and its loss."""

import functools
from typing import NamedTuple

from trainer.compat.keras import keras, tf
from trainer.config.supervised import Supervised
from trainer.data.examples import Examples
from trainer.data.normalization import first_normalized, normalize
from trainer.data.signature import Signature
from trainer.engine.checkpoints import CheckpointInfo, restore
from trainer.models.building import build_network
from trainer.models.context import Context
from trainer.optim.ema import ExponentialMovingAverage
from trainer.supervised.losses import Loss


class Outputs(NamedTuple):
    """What a network returns in training.

    Attributes:
      logits: float32 `[B, classes]`.
      auxiliary: the weight of each auxiliary classifier, and its logits of the same shape.
    """

    logits: tf.Tensor
    auxiliary: tuple[tuple[float, tf.Tensor], ...]


class Classifier:
    """A network that maps examples to class logits, with what restoring one needs.

    Attributes:
      signature: of the data set.
      network: `[B, *input_shape]` normalized float32 to logits `[B, classes]` float32; to a list
        of them if there are auxiliary classifiers, the main logits first.
    """

    def __init__(
        self,
        experiment: Supervised,
        signature: Signature,
        step: tf.Variable,
        examples: Examples | None = None,
    ):
        """Builds the network in the strategy scope in force.

        Args:
          experiment: names the model and the seed.
          signature: of the data set.
          step: scalar int64, number of updates so far; dropout masks depend on it.
          examples: the training split, for initialization; None where weights are restored.

        Raises:
          UserError: if the model does not fit the data.
        """
        keras.utils.set_random_seed(experiment.seed)
        self.signature = signature
        sample = functools.partial(first_normalized, examples, signature) if examples else None
        context = Context(
            experiment.seed,
            step,
            experiment.train.batch_norm_group,
            sample,
            signature.embeddings,
        )
        built = build_network(
            experiment.model, signature.input_shape, len(signature.classes), context
        )
        self.network = built.model
        self._auxiliary_weights = built.auxiliary_weights

    def logits(self, features: tf.Tensor, training: bool) -> tf.Tensor:
        """The main logits `[B, classes]` float32 of stored examples `[B, ...]`."""
        return self.outputs(features, training).logits

    def outputs(self, features: tf.Tensor, training: bool) -> Outputs:
        """All logits of stored examples `[B, ...]`."""
        outputs = self.network(normalize(features, self.signature), training=training)
        if not self._auxiliary_weights:
            return Outputs(outputs, ())
        return Outputs(outputs[0], tuple(zip(self._auxiliary_weights, outputs[1:], strict=True)))


def training_loss(loss: Loss, targets: tf.Tensor, outputs: Outputs) -> tf.Tensor:
    """The loss of each example: L(main) + Σ weight · L(auxiliary) (Szegedy et al., 2015).

    Args:
      loss: L, of one classifier.
      targets: as `loss` takes them.
      outputs: of the network.

    Returns:
      float32 `[B]`.
    """
    losses = loss(targets, outputs.logits)
    for weight, logits in outputs.auxiliary:
        losses += weight * loss(targets, logits)
    return losses


def moving_average(experiment: Supervised, network: keras.Model) -> ExponentialMovingAverage | None:
    """The moving average of a network's variables, in the strategy scope in force, or None."""
    decay = experiment.train.ema_decay
    return ExponentialMovingAverage(network.variables, decay) if decay else None


def restore_network(
    found: CheckpointInfo, network: keras.Model, ema: ExponentialMovingAverage | None
) -> None:
    """Sets a network to a checkpoint's weights, or to their moving average if there is one."""
    restore(found, {"ema": ema} if ema else {"network": network})
    if ema:
        ema.assign()

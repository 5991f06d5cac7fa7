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


def training_loss(targets: tf.Tensor, outputs: Outputs, label_smoothing: float) -> tf.Tensor:
    """The loss of each example: CE(main) + Σ weight · CE(auxiliary) (Szegedy et al., 2015).

    Args:
      targets: as in `cross_entropy`.
      outputs: of the network.
      label_smoothing: as in `cross_entropy`, for each classifier.

    Returns:
      float32 `[B]`, nats.
    """
    losses = cross_entropy(targets, outputs.logits, label_smoothing)
    for weight, logits in outputs.auxiliary:
        losses += weight * cross_entropy(targets, logits, label_smoothing)
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


def cross_entropy(targets: tf.Tensor, logits: tf.Tensor, label_smoothing: float) -> tf.Tensor:
    """Categorical cross-entropy −Σ p log softmax(logits), nats.

    Label smoothing (Szegedy et al., 2016): p = (1 − ε) target + ε / classes.

    Args:
      targets: int32 `[B]`, class numbers, or float32 `[B, classes]`, probabilities.
      logits: float32 `[B, classes]`.
      label_smoothing: ε, the probability spread evenly over all classes.

    Returns:
      float32 `[B]`.
    """
    classes = logits.shape[-1]
    if targets.shape.rank == 1:
        if not label_smoothing:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        targets = tf.one_hot(targets, classes)
    smoothed = (1 - label_smoothing) * targets + label_smoothing / classes
    return tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)

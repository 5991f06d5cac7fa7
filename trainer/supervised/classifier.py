"""The network of a classification run, and its loss."""

from trainer.compat.keras import keras, tf
from trainer.config.supervised import Supervised
from trainer.data.examples import Signature
from trainer.data.normalization import normalize
from trainer.engine.checkpoints import CheckpointInfo, restore
from trainer.models.building import build_network
from trainer.models.context import Context
from trainer.optim.ema import ExponentialMovingAverage


class Classifier:
    """A network that maps examples to class logits, with what restoring one needs.

    Attributes:
      signature: of the data set.
      network: `[B, *input_shape]` normalized float32 to logits `[B, classes]` float32.
    """

    def __init__(self, experiment: Supervised, signature: Signature, step: tf.Variable):
        """Builds the network in the strategy scope in force.

        Args:
          experiment: names the model and the seed.
          signature: of the data set.
          step: scalar int64, number of updates so far; dropout masks depend on it.

        Raises:
          UserError: if the model does not fit the data.
        """
        keras.utils.set_random_seed(experiment.seed)
        self.signature = signature
        self.network = build_network(
            experiment.model,
            signature.input_shape,
            len(signature.classes),
            Context(experiment.seed, step),
        )

    def logits(self, features: tf.Tensor, training: bool) -> tf.Tensor:
        """Logits `[B, classes]` float32 of stored examples `[B, ...]`."""
        return self.network(normalize(features, self.signature), training=training)


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

"""The network of a classification run, and its loss."""

from typing import NamedTuple

from trainer.compat.keras import keras, tf
from trainer.config.supervised import Supervised
from trainer.data.examples import Signature
from trainer.data.normalization import normalize
from trainer.models.batch_norm import require_whole_groups
from trainer.models.building import build_network
from trainer.models.context import Context


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
        context = Context(experiment.seed, step)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        require_whole_groups(
            experiment.train.global_batch_size // replicas, context.batch_norm_group
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
      targets: int32 `[B]`, class numbers.
      outputs: of the network.
      label_smoothing: as in `cross_entropy`, for each classifier.

    Returns:
      float32 `[B]`, nats.
    """
    losses = cross_entropy(targets, outputs.logits, label_smoothing)
    for weight, logits in outputs.auxiliary:
        losses += weight * cross_entropy(targets, logits, label_smoothing)
    return losses


def cross_entropy(targets: tf.Tensor, logits: tf.Tensor, label_smoothing: float) -> tf.Tensor:
    """Categorical cross-entropy −Σ p log softmax(logits), nats.

    Label smoothing (Szegedy et al., 2016): p = (1 − ε) onehot(target) + ε / classes.

    Args:
      targets: int32 `[B]`, class numbers.
      logits: float32 `[B, classes]`.
      label_smoothing: ε, the probability spread evenly over all classes.

    Returns:
      float32 `[B]`.
    """
    if not label_smoothing:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    classes = logits.shape[-1]
    smoothed = tf.one_hot(
        targets,
        classes,
        on_value=1 - label_smoothing + label_smoothing / classes,
        off_value=label_smoothing / classes,
    )
    return tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)

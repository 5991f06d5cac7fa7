"""Gradients of a batch's mean loss, computed at once or in parts."""

import functools

from trainer.compat.keras import tf
from trainer.config.models import CustomModel
from trainer.config.supervised import Supervised
from trainer.models import halves
from trainer.optim.optimizers import Optimizer
from trainer.supervised.classifier import Classifier, training_loss
from trainer.supervised.losses import Loss

Batch = tuple[tf.Tensor, ...]


class BatchGradients:
    """The gradients of one replica's share of the global mean loss.

    The share is divided into micro-batches, whose gradients are computed one after the other and
    summed, which needs the memory of one of them. On a CPU of two cores both halves of a
    micro-batch are computed side by side: they are independent parts of one graph.

    The result is that of the whole batch to float tolerance, except that batch normalization takes
    its statistics from each group of `train.batch_norm_group` examples.
    """

    def __init__(
        self,
        classifier: Classifier,
        optimizer: Optimizer,
        loss: Loss,
        global_batch_size: int,
        replicas: int,
        micro_batches: int = 1,
        streams: int = 1,
    ):
        """Takes what the loss depends on.

        Args:
          classifier: the network.
          optimizer: scales the loss where that is needed.
          loss: of one classifier.
          global_batch_size: over all replicas; the loss is divided by it.
          replicas: number of all replicas.
          micro_batches: number of micro-batches per update.
          streams: 1, or 2 to compute both halves of a batch side by side.
        """
        self._classifier = classifier
        self._optimizer = optimizer
        self._loss = loss
        self._global_batch_size = global_batch_size
        self._micro_batches = micro_batches
        self._streams = streams
        # The network's own losses, such as regularizers, count once per update.
        self._calls = replicas * micro_batches * streams

    def __call__(
        self, features: tf.Tensor, targets: tf.Tensor, phase: int = -1
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """Gradients, the replica's share of the loss, scalar float32, and logits `[b, C]`.

        Args:
          features: stored examples `[b, ...]`.
          targets: as the loss takes them.
          phase: of the optimizer, whose variables the gradients are of.
        """
        if self._micro_batches == 1:
            return self._of_micro_batch(phase, features, targets)
        return self._accumulated(phase, features, targets)

    def _accumulated(
        self, phase: int, *batch: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        count = self._micro_batches
        parts = [tf.reshape(t, [count, t.shape[0] // count, *t.shape[1:]]) for t in batch]

        def add(
            number: tf.Tensor, sums: list[tf.Tensor], loss: tf.Tensor, logits: tf.TensorArray
        ) -> tuple[tf.Tensor, list[tf.Tensor], tf.Tensor, tf.TensorArray]:
            with halves.micro_batch(number):
                gradients, more, outputs = self._of_micro_batch(
                    phase, *(part[number] for part in parts)
                )
            sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
            return number + 1, sums, loss + more, logits.write(number, outputs)

        state = (
            tf.constant(0),
            [tf.zeros(variable.shape) for variable in self._optimizer.variables_of(phase)],
            tf.constant(0.0),
            tf.TensorArray(tf.float32, count),
        )
        # The next micro-batch starts when the gradients of the last one are added.
        _, sums, loss, logits = tf.while_loop(
            lambda number, *_: number < count, add, state, parallel_iterations=1
        )
        return sums, loss, logits.concat()

    def _of_micro_batch(
        self, phase: int, *batch: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        of_call = functools.partial(self._of_call, phase)
        results = halves.side_by_side(of_call, self._streams, *batch)
        gradients, losses, logits = zip(*results, strict=True)
        sums = [tf.add_n(parts) for parts in zip(*gradients, strict=True)]
        return sums, tf.add_n(losses), tf.concat(logits, axis=0)

    def _of_call(
        self, phase: int, features: tf.Tensor, targets: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = self._classifier.outputs(features, training=True)
            losses = training_loss(self._loss, targets, outputs)
            loss = tf.reduce_sum(losses) / self._global_batch_size
            for extra in self._classifier.network.losses:
                loss += tf.cast(extra, tf.float32) / self._calls
        return self._optimizer.gradients(tape, loss, phase), loss, outputs.logits


def can_be_halved(experiment: Supervised) -> bool:
    """Whether the gradients of both halves of a batch add up to those of the batch.

    A network of the user's own may compute with the batch as a whole.
    """
    train = experiment.train
    micro_batch = train.global_batch_size // train.micro_batches
    if isinstance(experiment.model, CustomModel) or micro_batch % 2:
        return False
    group = train.batch_norm_group
    return not experiment.model.has_batch_norm or (group > 0 and micro_batch // 2 % group == 0)

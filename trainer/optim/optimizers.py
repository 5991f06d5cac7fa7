"""Optimizers: from a section to updates that replicas agree on."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.compat.keras import keras, tf
from trainer.config.optimizers import Optimizer as OptimizerConfig
from trainer.optim.schedules import LearningRate

# The Keras class of each `optimizer.kind`; the section's other fields are its arguments.
OPTIMIZERS: Mapping[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
}
_OURS = ("kind", "learning_rate", "schedule", "schedule_steps", "clip_norm")


class Optimizer(tf.Module):
    """A Keras optimizer with its schedule, gradient clipping and loss scaling.

    Attributes:
      learning_rate: the schedule.
    """

    def __init__(
        self,
        config: OptimizerConfig,
        variables: Sequence[tf.Variable],
        schedule_updates: int,
        scales_loss: bool = False,
    ):
        """Creates all slots, in the strategy scope in force.

        Args:
          config: the `optimizer` section.
          variables: what to update.
          schedule_updates: length of the learning rate schedule.
          scales_loss: whether the loss is scaled dynamically, as float16 needs.
        """
        super().__init__()
        self._variables = list(variables)
        self._clip_norm = config.clip_norm
        self.learning_rate = LearningRate(config, schedule_updates)
        # A tf.Module does not track a schedule by itself.
        self._learning_rate_scale = self.learning_rate.scale
        arguments: dict[str, Any] = {
            field.name: getattr(config, field.name)
            for field in dataclasses.fields(config)
            if field.name not in _OURS
        }
        self._optimizer = OPTIMIZERS[config.kind](
            learning_rate=self.learning_rate, jit_compile=False, **arguments
        )
        self._optimizer.build(self._variables)
        self._scales_loss = scales_loss
        if scales_loss:
            self._optimizer = keras.mixed_precision.LossScaleOptimizer(self._optimizer)

    @property
    def iterations(self) -> tf.Variable:
        """Scalar int64, number of updates so far."""
        return self._optimizer.iterations

    @property
    def slots(self) -> list[tf.Variable]:
        """The optimizer's own variables, such as momentum."""
        return self._optimizer.variables()

    def current_learning_rate(self) -> float:
        """The learning rate of the next update."""
        return float(self.learning_rate(self.iterations))

    def gradients(self, tape: tf.GradientTape, loss: tf.Tensor) -> list[tf.Tensor]:
        """Gradients of this replica's share of the loss; scaled where the loss is scaled.

        Args:
          tape: recorded the loss.
          loss: scalar, already divided by the global batch size.
        """
        if not self._scales_loss:
            return tape.gradient(loss, self._variables)
        with tape:
            scaled = self._optimizer.get_scaled_loss(loss)
        return self._optimizer.get_unscaled_gradients(tape.gradient(scaled, self._variables))

    def apply(self, gradients: list[tf.Tensor], loss: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Sums gradients over replicas, clips them by their global norm and applies them.

        Call it in a replica context. Clipping follows the sum, so that the update does not
        depend on the number of replicas.

        Args:
          gradients: of this replica's share of the loss.
          loss: that share, scalar; it is summed with the gradients.

        Returns:
          The global norm before clipping and the loss, scalars float32, equal on all replicas.
        """
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync > 1:
            sums = replica.all_reduce(tf.distribute.ReduceOp.SUM, [*gradients, loss])
            *gradients, loss = sums
        norm = global_norm(gradients)
        if self._clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm, norm)
        self._optimizer.apply_gradients(
            zip(gradients, self._variables, strict=True), skip_gradients_aggregation=True
        )
        return norm, loss


def global_norm(gradients: Sequence[tf.Tensor]) -> tf.Tensor:
    """The L2 norm of all gradients together, scalar float32.

    Each sum is taken in two stages with a rectifier between them, which does not change a
    sum of squares. Without it XLA fuses both stages into one serial loop of twice the time.
    """
    sums = []
    for gradient in gradients:
        all_but_last = list(range(len(gradient.shape) - 1))
        sums.append(tf.nn.relu(tf.reduce_sum(tf.square(gradient), axis=all_but_last)))
    return tf.sqrt(tf.add_n([tf.reduce_sum(each) for each in sums]))

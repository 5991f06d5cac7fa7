"""Optimizer and learning rate schedule from configuration."""

import math

from trainer.compat.keras import keras, tf
from trainer.config.sections import SGD, Adam, AdamW, Optimizer, RMSprop


class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """Linear rise, then constant or a fall to 0 at the last update.

    Attributes:
      scale: float32 variable that multiplies every step size; part of the state, because
        a roll-back halves it.
    """

    def __init__(self, config: Optimizer, total_updates: int):
        self._config = config
        self._total_updates = total_updates
        self.scale = tf.Variable(1.0, trainable=False, name="learning_rate_scale")

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The step size, scalar float32, of update number `step`, counted from 0."""
        config = self._config
        step = tf.cast(step, tf.float32)
        factor = tf.constant(1.0)
        if config.schedule != "constant":
            span = max(1, self._total_updates - config.warmup_steps)
            done = tf.clip_by_value((step - config.warmup_steps) / span, 0.0, 1.0)
            factor = 1 - done if config.schedule == "linear" else (1 + tf.cos(math.pi * done)) / 2
        if config.warmup_steps:
            factor = tf.minimum(factor, (step + 1) / config.warmup_steps)
        return config.learning_rate * factor * self.scale

    def get_config(self) -> dict[str, object]:
        """What Keras asks of a schedule."""
        return {"config": self._config, "total_updates": self._total_updates}


def build_optimizer(config: Optimizer, learning_rate: LearningRate) -> keras.optimizers.Optimizer:
    """The Keras optimizer of an `optimizer` section; clipping is `apply_gradients`'."""
    common = {"learning_rate": learning_rate, "jit_compile": False}
    if isinstance(config, AdamW):
        return keras.optimizers.AdamW(
            weight_decay=config.weight_decay,
            beta_1=config.beta_1,
            beta_2=config.beta_2,
            epsilon=config.epsilon,
            **common,
        )
    if isinstance(config, Adam):
        return keras.optimizers.Adam(
            beta_1=config.beta_1, beta_2=config.beta_2, epsilon=config.epsilon, **common
        )
    if isinstance(config, RMSprop):
        return keras.optimizers.RMSprop(
            rho=config.rho, momentum=config.momentum, epsilon=config.epsilon, **common
        )
    assert isinstance(config, SGD)
    return keras.optimizers.SGD(momentum=config.momentum, nesterov=config.nesterov, **common)


def apply_gradients(
    optimizer: keras.optimizers.Optimizer,
    gradients: list[tf.Tensor],
    variables: list[tf.Variable],
    clip_norm: float,
) -> None:
    """Sums gradients over replicas, clips them by their global norm, applies them.

    Call it in a replica context. Clipping comes after the sum, so that the result does
    not depend on the number of replicas.

    Args:
      optimizer: a built Keras optimizer.
      gradients: one tensor a variable, of a loss already divided by the global batch.
      variables: what to update, in the same order.
      clip_norm: the bound; 0 is off.
    """
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync > 1:
        gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    if clip_norm:
        gradients, _ = tf.clip_by_global_norm(gradients, clip_norm, _global_norm(gradients))
    optimizer.apply_gradients(
        zip(gradients, variables, strict=True), skip_gradients_aggregation=True
    )


def _global_norm(gradients: list[tf.Tensor]) -> tf.Tensor:
    """The L2 norm of all gradients together, scalar float32.

    Two sums with something between them: XLA would join them into one loop that adds one
    number after another, at twice the time. A rectifier changes no sum of squares.
    """
    sums = []
    for gradient in gradients:
        but_the_last = list(range(len(gradient.shape) - 1))
        sums.append(tf.nn.relu(tf.reduce_sum(tf.square(gradient), axis=but_the_last)))
    return tf.sqrt(tf.add_n([tf.reduce_sum(each) for each in sums]))

"""Learning rate schedules."""

import math
from collections.abc import Callable, Mapping

from trainer.compat.keras import keras, tf
from trainer.config.optimizers import Optimizer

# From the fraction of the run after the warm-up, in [0, 1], to a factor of the peak.
DECAYS: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "constant": tf.ones_like,
    "linear": lambda fraction: 1 - fraction,
    # Loshchilov and Hutter (2017), equation 5, without restarts.
    "cosine": lambda fraction: (1 + tf.cos(math.pi * fraction)) / 2,
}


class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up, then the decay that `optimizer.schedule.kind` names.

    Attributes:
      scale: float32 variable that multiplies every learning rate; part of the state,
        because a roll-back halves it.
    """

    def __init__(self, config: Optimizer, total_updates: int):
        self._config = config
        self._total_updates = total_updates
        self.scale = tf.Variable(1.0, trainable=False, name="learning_rate_scale")

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The learning rate, scalar float32, of update number `step`, counted from 0."""
        schedule = self._config.schedule
        step = tf.cast(step, tf.float32)
        span = max(1, self._total_updates - schedule.warmup_steps)
        fraction = tf.clip_by_value((step - schedule.warmup_steps) / span, 0.0, 1.0)
        factor = DECAYS[schedule.kind](fraction)
        if schedule.warmup_steps:
            factor = tf.minimum(factor, (step + 1) / schedule.warmup_steps)
        return self._config.learning_rate * factor * self.scale

    def get_config(self) -> dict[str, object]:
        """The constructor's arguments, which Keras asks for."""
        return {"config": self._config, "total_updates": self._total_updates}

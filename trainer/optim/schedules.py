"""Learning rate schedules."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from trainer.compat.keras import keras, tf
from trainer.config.durations import parse_duration
from trainer.config.optimizers import (
    ConstantSchedule,
    CosineSchedule,
    ExponentialSchedule,
    LinearSchedule,
    OneCycleSchedule,
    Optimizer,
    PolynomialSchedule,
    StepSchedule,
    WarmupSchedule,
)

# From an update's number, scalar float32 counted from 0, to a factor of the peak.
Factor = Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class _Length:
    total_updates: int
    updates_per_epoch: float | None

    def updates(self, duration: str) -> int:
        return parse_duration(duration).updates(self.total_updates, self.updates_per_epoch)


def _constant(schedule: ConstantSchedule, length: _Length) -> Factor:
    return _warmup(schedule, length)


def _linear(schedule: LinearSchedule, length: _Length) -> Factor:
    return _decay(schedule, length, lambda x: _mix(1 - x, schedule.final_factor))


def _cosine(schedule: CosineSchedule, length: _Length) -> Factor:
    """Loshchilov and Hutter (2017), equation 5, without restarts."""
    return _decay(schedule, length, lambda x: _mix(_half_cosine(x), schedule.final_factor))


def _polynomial(schedule: PolynomialSchedule, length: _Length) -> Factor:
    return _decay(
        schedule, length, lambda x: _mix((1 - x) ** schedule.power, schedule.final_factor)
    )


def _exponential(schedule: ExponentialSchedule, length: _Length) -> Factor:
    return _decay(schedule, length, lambda x: tf.pow(schedule.final_factor, x))


def _step(schedule: StepSchedule, length: _Length) -> Factor:
    boundaries = [float(length.updates(each)) for each in schedule.boundaries]
    warmup = _warmup(schedule, length)

    def factor(step: tf.Tensor) -> tf.Tensor:
        passed = tf.reduce_sum(tf.cast(step >= tf.constant(boundaries), tf.float32))
        return warmup(step) * tf.pow(schedule.factor, passed)

    return factor


def _one_cycle(schedule: OneCycleSchedule, length: _Length) -> Factor:
    """Smith and Topin (2019), section 3, with the end of the run as the end of the cycle."""
    peak = length.updates(schedule.peak)
    up, down = _fraction(0, peak), _fraction(peak, length.total_updates)
    fall = _half_cosine if schedule.shape == "cosine" else lambda x: 1 - x

    def factor(step: tf.Tensor) -> tf.Tensor:
        rising = _mix(fall(1 - up(step)), schedule.start_factor)
        falling = _mix(fall(down(step)), schedule.final_factor)
        return tf.where(step < peak, rising, falling)

    return factor


# The function behind each `optimizer.schedule.kind`.
SCHEDULES: Mapping[str, Callable[[Any, _Length], Factor]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "polynomial": _polynomial,
    "exponential": _exponential,
    "step": _step,
    "one_cycle": _one_cycle,
}


class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """The schedule that `optimizer.schedule.kind` names.

    Attributes:
      scale: float32 variable that multiplies every learning rate; part of the state,
        because a roll-back halves it.
    """

    def __init__(
        self, config: Optimizer, total_updates: int, updates_per_epoch: float | None = None
    ):
        """Resolves all durations.

        Args:
          config: the `optimizer` section.
          total_updates: length of the schedule. A decay would end at this update, which is the
            one after the last.
          updates_per_epoch: None for an agent.

        Raises:
          UserError: if a duration is in epochs and there are none.
        """
        self._arguments = {
            "config": config,
            "total_updates": total_updates,
            "updates_per_epoch": updates_per_epoch,
        }
        self._schedule = config.schedule
        self._peak = config.learning_rate
        self._length = _Length(total_updates, updates_per_epoch)
        self._factor = SCHEDULES[config.schedule.kind](config.schedule, self._length)
        self.scale = tf.Variable(1.0, trainable=False, name="learning_rate_scale")

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The learning rate, scalar float32, of update number `step`, counted from 0."""
        return self._peak * self._factor(tf.cast(step, tf.float32)) * self.scale

    def shortened(self, duration: str) -> Callable[[tf.Tensor], tf.Tensor]:
        """The learning rate of the whole schedule within a part of its length, and then 0.

        Args:
          duration: the part, from the beginning on.
        """
        updates = self._length.updates(duration)
        shorter = dataclasses.replace(self._length, total_updates=updates)
        factor = SCHEDULES[self._schedule.kind](self._schedule, shorter)

        def learning_rate(step: tf.Tensor) -> tf.Tensor:
            value = self._peak * factor(tf.cast(step, tf.float32)) * self.scale
            return tf.where(step < updates, value, 0.0)

        return learning_rate

    def get_config(self) -> dict[str, object]:
        """The constructor's arguments, which Keras asks for."""
        return dict(self._arguments)


def _warmup(schedule: WarmupSchedule, length: _Length) -> Factor:
    """Rises linearly, from 1 / warmup at update 0 to 1 at the last update of the warmup."""
    updates = length.updates(schedule.warmup)
    if not updates:
        return tf.ones_like
    return lambda step: tf.minimum(1.0, (step + 1) / updates)


def _decay(schedule: WarmupSchedule, length: _Length, decay: Factor) -> Factor:
    """The warmup, then a decay as a function of the fraction of the updates after it."""
    warmup = _warmup(schedule, length)
    fraction = _fraction(length.updates(schedule.warmup), length.total_updates)
    return lambda step: warmup(step) * decay(fraction(step))


def _fraction(first: int, last: int) -> Factor:
    """The position between two updates, from 0 to 1."""
    span = max(1, last - first)
    return lambda step: tf.clip_by_value((step - first) / span, 0.0, 1.0)


def _half_cosine(fraction: tf.Tensor) -> tf.Tensor:
    """Falls from 1 to 0."""
    return (1 + tf.cos(math.pi * fraction)) / 2


def _mix(weight: tf.Tensor, end: float) -> tf.Tensor:
    """`weight` parts of 1, and the rest of `end`."""
    return end + (1 - end) * weight

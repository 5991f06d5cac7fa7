"""Groups of variables with their own learning rate, update rule and first update."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from trainer.compat.keras import keras, tf
from trainer.optim.schedules import LearningRate


@dataclasses.dataclass(frozen=True, eq=False)
class ParameterGroup:
    """Variables that are updated alike.

    Attributes:
      variables: what to update.
      learning_rate_factor: of the run's learning rate (discriminative learning rates).
      first_update: the update, counted from 0, from which on they are updated (unfreezing).
    """

    variables: Sequence[tf.Variable]
    learning_rate_factor: float = 1.0
    first_update: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Rule:
    """How to update some variables.

    Attributes:
      create: makes the Keras optimizer with a schedule, without slots.
      variables: what it updates.
      learning_rate_factor: of the run's learning rate.
      duration: how long they are updated, within which the schedule runs; empty for the run's.
    """

    create: Callable[[keras.optimizers.schedules.LearningRateSchedule], keras.optimizers.Optimizer]
    variables: Sequence[tf.Variable]
    learning_rate_factor: float
    duration: str = ""


class GroupedOptimizer(keras.optimizers.Optimizer):
    """Several Keras optimizers as one, with the run's count of updates.

    Each optimizer also counts its own updates, which Adam's bias correction needs. A Keras
    optimizer is what Keras' loss scaling takes.
    """

    def __init__(self, rules: Sequence[Rule], learning_rate: LearningRate):
        super().__init__(name="grouped", jit_compile=False)
        self._members = [
            rule.create(
                _GroupLearningRate(
                    learning_rate.shortened(rule.duration) if rule.duration else learning_rate,
                    rule.learning_rate_factor,
                    self,
                )
            )
            for rule in rules
        ]
        self._groups = [tuple(rule.variables) for rule in rules]

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Creates the slots of all groups; called by Keras too."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._member_of = {}
        for number, (member, variables) in enumerate(zip(self._members, self._groups, strict=True)):
            member.build(variables)
            self._variables.extend(member.variables())
            self._member_of.update({self._var_key(each): number for each in variables})
        self._built = True

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[tf.Tensor, tf.Variable]],
        name: str | None = None,
        skip_gradients_aggregation: bool = False,
        **unused: Any,
    ) -> tf.Variable:
        """Updates the given variables; those of a group are given together or not at all."""
        del name, unused
        pairs: list[list[tuple[tf.Tensor, tf.Variable]]] = [[] for _ in self._members]
        for gradient, variable in grads_and_vars:
            pairs[self._member_of[self._var_key(variable)]].append((gradient, variable))
        for member, own in zip(self._members, pairs, strict=True):
            if own:
                member.apply_gradients(own, skip_gradients_aggregation=skip_gradients_aggregation)
        # Last, because the schedules read it.
        return self.iterations.assign_add(1)


class _GroupLearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """A factor of the run's learning rate at the run's update, whatever the group's own is."""

    def __init__(
        self, run: Callable[[tf.Tensor], tf.Tensor], factor: float, counter: GroupedOptimizer
    ):
        self._run = run
        self._factor = factor
        self._counter = counter.iterations

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        del step
        return self._factor * self._run(self._counter)

    def get_config(self) -> dict[str, object]:
        return {"run": self._run, "factor": self._factor}

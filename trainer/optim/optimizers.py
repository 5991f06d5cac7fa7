"""Optimizers: from a section to updates that replicas agree on."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from trainer.compat.keras import keras, tf
from trainer.config import optimizers as sections
from trainer.config.optimizers import Muon as MuonConfig
from trainer.config.optimizers import Optimizer as OptimizerConfig
from trainer.optim import functional
from trainer.optim.groups import GroupedOptimizer, ParameterGroup, Rule
from trainer.optim.lamb import LAMB
from trainer.optim.muon import Muon
from trainer.optim.schedules import LearningRate
from trainer.optim.weight_decay import SGD, RMSprop, has_weight_decay

# The class of each `optimizer.kind`; the section's other fields are its arguments.
OPTIMIZERS: Mapping[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": SGD,
    "rmsprop": RMSprop,
    "lamb": LAMB,
    "lion": keras.optimizers.Lion,
    "muon": Muon,
}
_NO_ARGUMENTS = frozenset(
    {
        *("kind", "learning_rate", "schedule", "schedule_steps", "clip_norm"),
        # Of the variables that Muon does not update.
        *("head_learning_rate", "head_weight_decay", "bias_learning_rate", "bias_weight_decay"),
        *("first_bias_duration", "sgd_momentum"),
    }
)


class Optimizer(tf.Module):
    """A Keras optimizer with its schedule, gradient clipping and loss scaling.

    Groups may join at a later update. The run is then divided into phases, numbered from 0; in
    each, the groups take part that have joined by its first update. `variables_of`, `gradients`
    and `apply` take the number of a phase, which is fixed when a function is traced; the default is
    the last one, with all groups.

    Attributes:
      learning_rate: the schedule.
      phases: the first update of each phase, ascending; `(0,)` if all groups join at once.
    """

    def __init__(
        self,
        config: OptimizerConfig,
        groups: Sequence[ParameterGroup],
        schedule_updates: int,
        updates_per_epoch: float | None = None,
        scales_loss: bool = False,
    ):
        """Creates all slots, in the strategy scope in force.

        Args:
          config: the `optimizer` section.
          groups: what to update, in the order of the model; one of them at least from update 0 on.
          schedule_updates: length of the learning rate schedule.
          updates_per_epoch: None for an agent.
          scales_loss: whether the loss is scaled dynamically, as float16 needs.

        Raises:
          UserError: if a duration of the schedule is in epochs and there are none.
        """
        super().__init__()
        self._groups = tuple(groups)
        self.phases = tuple(sorted({group.first_update for group in groups}))
        if self.phases[0] != 0:
            raise ValueError(f"no group takes part in update 0. Received: {self.phases}")
        self._config = config
        self._clip_norm = config.clip_norm
        self.learning_rate = LearningRate(config, schedule_updates, updates_per_epoch)
        # A tf.Module does not track a schedule by itself.
        self._learning_rate_scale = self.learning_rate.scale
        self._rules = _rules(config, groups)
        self._optimizer = _optimizer(self._rules, self.learning_rate)
        self._optimizer.build(self.variables_of())
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

    def variables_of(self, phase: int = -1) -> list[tf.Variable]:
        """What is updated in a phase, in the order of the groups."""
        return [
            variable
            for group in self._groups
            if group.first_update <= self.phases[phase]
            for variable in group.variables
        ]

    def phases_of(self, first_update: int, updates: int) -> Iterator[tuple[int, int]]:
        """The phases of some updates, each with the number of them that are in it."""
        ends = [*self.phases[1:], math.inf]
        for phase, end in enumerate(ends):
            count = int(min(updates, end - first_update))
            if count > 0:
                yield phase, count
                first_update, updates = first_update + count, updates - count

    def current_learning_rate(self) -> float:
        """The learning rate of the next update, of a group with factor 1."""
        return float(self.learning_rate(self.iterations))

    def update_rule(self) -> functional.UpdateRule | None:
        """The rule as a function of tensors; None for an optimizer that has none."""
        config = self._config
        if self._scales_loss or not _is_one_rule(self._rules):
            return None
        if type(config) is sections.Adam:
            slots = (list(self._optimizer._momentums), list(self._optimizer._velocities))
            rule = functional.adam(config.beta_1, config.beta_2, config.epsilon)
            return functional.UpdateRule(slots, rule)
        if isinstance(config, sections.SGD) and not config.momentum and not config.weight_decay:
            return functional.UpdateRule((), functional.gradient_descent)
        return None

    def clip(self, gradients: list[tf.Tensor]) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradients with at most the configured global norm, and their norm before clipping."""
        norm = global_norm(gradients)
        if self._clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm, norm)
        return gradients, norm

    def gradients(self, tape: tf.GradientTape, loss: tf.Tensor, phase: int = -1) -> list[tf.Tensor]:
        """Gradients of this replica's share of the loss; scaled where the loss is scaled.

        Args:
          tape: recorded the loss.
          loss: scalar, already divided by the global batch size.
          phase: whose variables to differentiate for.
        """
        variables = self.variables_of(phase)
        if not self._scales_loss:
            return tape.gradient(loss, variables)
        with tape:
            scaled = self._optimizer.get_scaled_loss(loss)
        return self._optimizer.get_unscaled_gradients(tape.gradient(scaled, variables))

    def apply(
        self, gradients: list[tf.Tensor], loss: tf.Tensor, phase: int = -1
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Sums gradients over replicas, clips them by their global norm and applies them.

        Call it in a replica context. Clipping follows the sum, so that the update does not
        depend on the number of replicas.

        Args:
          gradients: of this replica's share of the loss, as `gradients` returns them.
          loss: that share, scalar; it is summed with the gradients.
          phase: the phase of `gradients`.

        Returns:
          The global norm before clipping and the loss, scalars float32, equal on all replicas.
        """
        replica = tf.distribute.get_replica_context()
        if replica.num_replicas_in_sync > 1:
            sums = replica.all_reduce(tf.distribute.ReduceOp.SUM, [*gradients, loss])
            *gradients, loss = sums
        gradients, norm = self.clip(gradients)
        self._optimizer.apply_gradients(
            zip(gradients, self.variables_of(phase), strict=True), skip_gradients_aggregation=True
        )
        return norm, loss


def _optimizer(rules: Sequence[Rule], schedule: LearningRate) -> keras.optimizers.Optimizer:
    if _is_one_rule(rules):
        return rules[0].create(schedule)
    return GroupedOptimizer(rules, schedule)


def _is_one_rule(rules: Sequence[Rule]) -> bool:
    return len(rules) == 1 and rules[0].learning_rate_factor == 1.0


def _rules(config: OptimizerConfig, groups: Sequence[ParameterGroup]) -> list[Rule]:
    arguments = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in _NO_ARGUMENTS
    }
    make = functools.partial(OPTIMIZERS[config.kind], **arguments)
    if not isinstance(config, MuonConfig):
        return [_rule(make, group.variables, group.learning_rate_factor) for group in groups]
    variables = [each for group in groups for each in group.variables]
    head = next(filter(has_weight_decay, reversed(variables)), None)
    first_bias = next(itertools.filterfalse(has_weight_decay, variables), None)
    return [rule for group in groups for rule in _muon_rules(config, group, head, first_bias, make)]


def _muon_rules(
    config: MuonConfig,
    group: ParameterGroup,
    head: tf.Variable | None,
    first_bias: tf.Variable | None,
    make: Callable[..., Any],
) -> list[Rule]:
    """Muon for the kernels of a group, SGD for the head and for variables of one dimension."""
    by_sgd = functools.partial(SGD, momentum=config.sgd_momentum, nesterov=True, decays_biases=True)
    of_head = functools.partial(by_sgd, weight_decay=config.head_weight_decay)
    of_biases = functools.partial(by_sgd, weight_decay=config.bias_weight_decay)
    parts: dict[str, list[tf.Variable]] = {"kernels": [], "head": [], "first": [], "biases": []}
    for each in group.variables:
        if has_weight_decay(each):
            parts["head" if each is head else "kernels"].append(each)
        else:
            parts["first" if each is first_bias else "biases"].append(each)
    rules = (
        ("kernels", make, config.learning_rate, ""),
        ("head", of_head, config.head_learning_rate, ""),
        ("first", of_biases, config.bias_learning_rate, config.first_bias_duration),
        ("biases", of_biases, config.bias_learning_rate, ""),
    )
    return [
        _rule(rule, parts[part], group.learning_rate_factor * peak / config.learning_rate, duration)
        for part, rule, peak, duration in rules
        if parts[part]
    ]


def _rule(
    make: Callable[..., Any], variables: Sequence[tf.Variable], factor: float, duration: str = ""
) -> Rule:
    def create(
        schedule: keras.optimizers.schedules.LearningRateSchedule,
    ) -> keras.optimizers.Optimizer:
        optimizer = make(learning_rate=schedule, jit_compile=False)
        # Must precede `build`.
        optimizer.exclude_from_weight_decay(
            [each for each in variables if not has_weight_decay(each)]
        )
        return optimizer

    return Rule(create, variables, factor, duration)


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

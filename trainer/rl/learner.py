"""Learning from batches: gradient, sum over replicas, clipping, update."""

import functools
from typing import Any, NamedTuple

from trainer.compat.keras import keras, tf
from trainer.config.optimizers import Optimizer as OptimizerConfig
from trainer.models.batch_norm import BatchNormalization
from trainer.models.moving_statistics import synchronize
from trainer.optim.groups import ParameterGroup
from trainer.optim.optimizers import Optimizer
from trainer.rl import functional, seeds
from trainer.rl.agents.base import Agent, AgentLoss, mix

# What `Learner.learn` sums before the agent's own figures, in its order.
LEARNING_SUMS = ("updates", "loss", "gradient_norm")


class _State(NamedTuple):
    """What one update changes, as tensors.

    Attributes:
      parameters: the agent's trainable variables.
      slots: the optimizer's variables.
      updates: scalar int64, number of updates so far.
    """

    parameters: list[tf.Tensor]
    slots: list[list[tf.Tensor]]
    updates: tf.Tensor


class Learner(tf.Module):
    """Updates an agent; create it in the strategy scope.

    Attributes:
      optimizer: the optimizer with its schedule.
    """

    def __init__(
        self,
        agent: Agent,
        config: OptimizerConfig,
        schedule_updates: int,
        global_batch_size: int,
        replicas: int,
        compiles: bool,
        scales_loss: bool,
        seed: int,
    ):
        """Creates the optimizer.

        Args:
          agent: what is trained.
          config: the optimizer's section.
          schedule_updates: length of the learning rate schedule.
          global_batch_size: examples per update, over all replicas.
          replicas: how many sum their gradients.
          compiles: whether XLA compiles updates; a sum over replicas is outside XLA.
          scales_loss: whether the loss is scaled, as float16 needs.
          seed: the experiment's, which keys the noise of losses.
        """
        super().__init__()
        self._agent = agent
        self.optimizer = Optimizer(
            config,
            [ParameterGroup(agent.trainable_variables)],
            schedule_updates,
            scales_loss=scales_loss,
        )
        self._global_batch_size = global_batch_size
        self._replicas = replicas
        self._compiles = compiles and replicas == 1
        self._rule = self.optimizer.update_rule()
        self._stream = seeds.stream(seed, "loss")

    @functools.cached_property
    def is_loop(self) -> bool:
        """Whether `learn` is one compiled loop, which takes any number of batches."""
        agent = self._agent
        targets = agent.target.targets if agent.target else []
        return (
            self._compiles
            and self._rule is not None
            and keras.mixed_precision.global_policy().name == "float32"
            # Any other rule, or state that layers assign, is applied to variables.
            and type(agent).after_update is Agent.after_update
            and functional.finds_all(agent, [*agent.trainable_variables, *targets])
            # A regularizer holds its variable, which the loop does not change.
            and not agent.extra_losses
            and not any(isinstance(each, BatchNormalization) for each in agent.submodules)
        )

    def learn(self, batches: Any, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Makes one update with each of K batches.

        Args:
          batches: a nest of what the agent's loss takes, fields `[K, B, ...]`.
          weights: float32 `[K, B]`, factors of the examples' losses.

        Returns:
          The priorities of the examples, float32 `[K, B]`, and this replica's sums:
          `LEARNING_SUMS`, then the agent's figures, float32 `[3 + figures]`.
        """
        if self.is_loop:
            return self._compiled_loop(batches, weights)
        return self._compiled_block(batches, weights)

    def compile(self, strategy: tf.distribute.Strategy, batches: Any, weights: tf.Tensor) -> None:
        """Compiles `learn` for batches of these shapes, if XLA compiles it; no state changes.

        XLA compiles a function when it is executed first, so this makes updates and undoes them.
        Only a function that is called in a graph, as in training, is found again in XLA's cache.
        """
        if not self._compiles:
            return
        tracked = tf.train.TrackableView(self).descendants()
        variables = [each for each in tracked if isinstance(each, tf.Variable)]
        values = [variable.numpy() for variable in variables]
        tf.function(lambda: strategy.run(self.learn, args=(batches, weights)))()
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    @functools.cached_property
    def _compiled_block(self) -> tf.types.experimental.PolymorphicFunction:
        return tf.function(self._block, jit_compile=True) if self._compiles else self._block

    def _block(self, batches: Any, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The updates one after another, on variables."""
        priorities, sums = [], []
        for number in range(weights.shape[0]):
            batch = tf.nest.map_structure(lambda field, k=number: field[k], batches)
            of_batch, added = self._update(batch, weights[number])
            priorities.append(of_batch)
            sums.append(added)
        return tf.stack(priorities), tf.add_n(sums)

    def _update(self, batch: Any, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            losses = self._agent.loss(batch, self._loss_seed(self.optimizer.iterations))
            loss = self._objective(losses, weights)
        gradients = self.optimizer.gradients(tape, loss)
        norm, _ = self.optimizer.apply(gradients, loss)
        synchronize(self._agent.variables)
        self._agent.after_update(self.optimizer.iterations)
        return losses.priorities, self._sums(losses, norm)

    def _loss_seed(self, updates: tf.Tensor) -> tf.Tensor:
        """The seed of an update on this replica, int32 `[2]`, after `updates` others."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        number = updates * self._replicas + tf.cast(replica, tf.int64)
        return seeds.at(self._stream, number)

    def _objective(self, losses: AgentLoss, weights: tf.Tensor) -> tf.Tensor:
        """This replica's share of the mean loss over the global batch, scalar."""
        loss = tf.reduce_sum(losses.per_example * weights) / self._global_batch_size
        for extra in self._agent.extra_losses:
            loss += tf.cast(extra, tf.float32) / self._replicas
        return loss

    @functools.cached_property
    def _compiled_loop(self) -> tf.types.experimental.PolymorphicFunction:
        return tf.function(self._loop, jit_compile=True)

    def _loop(self, batches: Any, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The updates as a loop whose carry is explicit.

        Variables are read once before it and assigned once after it. The outer loop ends where the
        target network moves; the inner one closes over the target network.
        """
        agent, target = self._agent, self._agent.target
        assert self._rule is not None
        count = weights.shape[0]
        state = _State(
            [variable.read_value() for variable in agent.trainable_variables],
            [[slot.read_value() for slot in slots] for slots in self._rule.slots],
            self.optimizer.iterations.read_value(),
        )
        period = target.period if target else count
        target_values = [variable.read_value() for variable in target.targets] if target else []
        priorities = tf.TensorArray(tf.float32, count, element_shape=weights.shape[1:])
        sums = tf.zeros([len(LEARNING_SUMS) + len(agent.figures)])

        def until_the_target_moves(number, state, target_values, priorities, sums):  # type: ignore[no-untyped-def]
            left = count - number
            if target:
                left = tf.minimum(left, tf.cast(period - state.updates % period, tf.int32))
            end = number + left

            def one(number, state, priorities, sums):  # type: ignore[no-untyped-def]
                batch = tf.nest.map_structure(lambda field: tf.gather(field, number), batches)
                state, of_batch, added = self._carried_update(
                    state, target_values, batch, tf.gather(weights, number)
                )
                return number + 1, state, priorities.write(number, of_batch), sums + added

            number, state, priorities, sums = tf.while_loop(
                lambda number, *_: number < end, one, (number, state, priorities, sums)
            )
            if target:
                rate = target.rate(state.updates)
                online = self._values(target.online, state.parameters)
                target_values = [
                    mix(old, new, rate) for old, new in zip(target_values, online, strict=True)
                ]
            return number, state, target_values, priorities, sums

        _, state, target_values, priorities, sums = tf.while_loop(
            lambda number, *_: number < count,
            until_the_target_moves,
            (tf.constant(0), state, target_values, priorities, sums),
        )
        self._assign(state)
        if target:
            _assign_all(target.targets, target_values)
        return priorities.stack(), sums

    def _carried_update(
        self, state: _State, target_values: list[tf.Tensor], batch: Any, weights: tf.Tensor
    ) -> tuple[_State, tf.Tensor, tf.Tensor]:
        agent = self._agent
        assert self._rule is not None
        variables = list(agent.trainable_variables)
        values = list(state.parameters)
        if agent.target:
            variables += agent.target.targets
            values += target_values
        with functional.replaced(agent, variables, values), tf.GradientTape() as tape:
            tape.watch(state.parameters)
            losses = agent.loss(batch, self._loss_seed(state.updates))
            loss = self._objective(losses, weights)
        gradients, norm = self.optimizer.clip(tape.gradient(loss, state.parameters))
        parameters, slots = self._rule.apply(
            state.parameters,
            state.slots,
            gradients,
            self.optimizer.learning_rate(state.updates),
            state.updates,
        )
        return (
            _State(parameters, slots, state.updates + 1),
            losses.priorities,
            self._sums(losses, norm),
        )

    def _values(self, variables: list[tf.Variable], parameters: list[tf.Tensor]) -> list[tf.Tensor]:
        """The values of variables, of which some are parameters that the loop carries."""
        names = [variable.ref() for variable in self._agent.trainable_variables]
        carried = dict(zip(names, parameters, strict=True))
        return [carried.get(variable.ref(), variable) for variable in variables]

    def _assign(self, state: _State) -> None:
        assert self._rule is not None
        _assign_all(self._agent.trainable_variables, state.parameters)
        for slots, values in zip(self._rule.slots, state.slots, strict=True):
            _assign_all(slots, values)
        self.optimizer.iterations.assign(state.updates)

    def _sums(self, losses: AgentLoss, norm: tf.Tensor) -> tf.Tensor:
        """What this update adds: replicas add up to one update and the global means."""
        figures = [losses.per_example, *(losses.figures[name] for name in self._agent.figures)]
        loss, *others = (tf.reduce_sum(each) / self._global_batch_size for each in figures)
        return tf.stack([1.0 / self._replicas, loss, norm / self._replicas, *others])


def _assign_all(variables: list[tf.Variable], values: list[tf.Tensor]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)

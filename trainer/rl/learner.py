"""Learning from batches: gradient, sum over replicas, clipping, update."""

import functools
from collections.abc import Sequence

from trainer.compat.keras import tf
from trainer.config.optimizers import Optimizer as OptimizerConfig
from trainer.models.moving_statistics import synchronize
from trainer.optim.groups import ParameterGroup
from trainer.optim.optimizers import Optimizer
from trainer.rl import seeds
from trainer.rl.agents.base import Agent, AgentLoss
from trainer.rl.experience.replay import Sample
from trainer.rl.experience.steps import Transition

# What `Learner.learn` sums before the agent's own figures, in its order.
LEARNING_SUMS = ("updates", "loss", "gradient_norm")

Batch = tuple[Transition, tf.Tensor]


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
          global_batch_size: transitions per update, over all replicas.
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
        self._stream = seeds.stream(seed, "loss")

    def learn(self, sample: Sample, updates: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Makes one update with each of the `updates` batches of a sample.

        The importance weights of each batch are divided by the largest over all replicas, so that
        they only scale updates down (Schaul et al., 2016, section 3.4).

        Returns:
          The priorities of the sample's transitions, float32 `[N]`, and this replica's sums:
          `LEARNING_SUMS`, then the agent's figures, float32 `[3 + figures]`.
        """
        weights = tf.reshape(sample.weights, [updates, -1])
        weights = tf.reshape(weights / self._largest(weights), [-1])
        batches = [
            tf.nest.map_structure(
                lambda field, k=number: tf.split(field, updates)[k], (sample.transitions, weights)
            )
            for number in range(updates)
        ]
        return self._compiled_block(batches) if self._compiles else self._block(batches)

    def compile(self, strategy: tf.distribute.Strategy, example: Sample, updates: int) -> None:
        """Compiles `learn` for samples like `example`, if XLA compiles it; no state changes.

        XLA compiles a function when it is executed first, so this makes updates and undoes them.
        Only a function that is called in a graph, as in training, is found again in XLA's cache.
        """
        if not self._compiles:
            return
        tracked = tf.train.TrackableView(self).descendants()
        variables = [each for each in tracked if isinstance(each, tf.Variable)]
        values = [variable.numpy() for variable in variables]
        tf.function(lambda: strategy.run(self.learn, args=(example, updates)))()
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def _largest(self, rows: tf.Tensor) -> tf.Tensor:
        """The largest value of each row `[R, B]` over all replicas, `[R, 1]`."""
        largest = tf.reduce_max(rows, axis=1, keepdims=True)
        if self._replicas > 1:
            every = tf.distribute.get_replica_context().all_gather(largest, axis=1)
            largest = tf.reduce_max(every, axis=1, keepdims=True)
        return largest

    @functools.cached_property
    def _compiled_block(self) -> tf.types.experimental.PolymorphicFunction:
        return tf.function(self._block, jit_compile=True)

    def _block(self, batches: Sequence[Batch]) -> tuple[tf.Tensor, tf.Tensor]:
        priorities, sums = zip(*(self._update(*batch) for batch in batches), strict=True)
        return tf.concat(priorities, axis=0), tf.add_n(list(sums))

    def _update(self, batch: Transition, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            losses = self._agent.loss(batch, self._loss_seed())
            # Each replica's share of the mean over the global batch.
            loss = tf.reduce_sum(losses.per_example * weights) / self._global_batch_size
            for extra in self._agent.extra_losses:
                loss += tf.cast(extra, tf.float32) / self._replicas
        gradients = self.optimizer.gradients(tape, loss)
        norm, _ = self.optimizer.apply(gradients, loss)
        synchronize(self._agent.variables)
        self._agent.after_update(self.optimizer.iterations)
        return losses.priorities, self._sums(losses, norm)

    def _loss_seed(self) -> tf.Tensor:
        """A seed of this update and replica, int32 `[2]`."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        updates = self.optimizer.iterations * self._replicas
        return seeds.at(self._stream, updates + tf.cast(replica, updates.dtype))

    def _sums(self, losses: AgentLoss, norm: tf.Tensor) -> tf.Tensor:
        """What this update adds: replicas add up to one update and the global means."""
        figures = [losses.per_example, *(losses.figures[name] for name in self._agent.figures)]
        loss, *others = (tf.reduce_sum(each) / self._global_batch_size for each in figures)
        return tf.stack([1.0 / self._replicas, loss, norm / self._replicas, *others])

"""Learning from each rollout while it is fresh, and then dropping it."""

from typing import Any

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine.checkpoints import State
from trainer.rl import seeds, settings
from trainer.rl.agents.actor_critic import ActorCriticAgent, flatten_time
from trainer.rl.experience.advantages import running_returns
from trainer.rl.experience.steps import Steps
from trainer.rl.learner import LEARNING_SUMS, Learner
from trainer.rl.learning import Learning
from trainer.rl.replicas import PerReplica, Replicas

# Updates in one call where they are not one compiled loop.
_UPDATES_PER_BLOCK = 4
# An epoch is the last if its mean KL divergence exceeds the target by this factor.
_KL_TOLERANCE = 1.5


class RolloutLearning(Learning):
    """Divides each rollout into minibatches, anew in each epoch."""

    def __init__(
        self,
        config: ReinforcementLearning,
        replicas: Replicas,
        agent: ActorCriticAgent,
        learner: Learner,
        sums: PerReplica[tf.Variable],
        compiles: bool,
    ):
        """Sets up counters.

        Args:
          config: the experiment.
          replicas: of the run.
          agent: what is trained.
          learner: updates it.
          sums: see the base class.
          compiles: whether XLA compiles values and advantages.
        """
        train = config.train
        num_envs = train.num_envs // replicas.total
        self.sums = sums
        self._replicas = replicas
        self._agent = agent
        self._learner = learner
        self._size = num_envs * train.collect_steps
        self._minibatches = settings.minibatches(config)
        self._block = self._minibatches
        if not learner.is_loop:
            self._block = max(
                each for each in range(1, _UPDATES_PER_BLOCK + 1) if self._minibatches % each == 0
            )
        self._prepared = self._prepare
        if compiles and replicas.total == 1:
            self._prepared = tf.function(self._prepare, jit_compile=True)
        self._streams = replicas.make(lambda number: seeds.stream(config.seed, "minibatch", number))
        # Number of epochs, which keys the order of examples.
        self._epochs = replicas.make(lambda _: tf.Variable(0, dtype=tf.int64, trainable=False))
        self._running_returns = replicas.make(
            lambda _: tf.Variable(tf.zeros([num_envs]), trainable=False)
        )
        self.state: State = {
            "epochs": self._epochs.tracked(),
            "running_returns": self._running_returns.tracked(),
        }

    def compile(self) -> None:
        """Does nothing: the first iteration already makes updates."""

    def end_episodes(self) -> None:
        """See the base class."""
        for running_return in self._running_returns:
            running_return.assign(tf.zeros_like(running_return))

    def refill(self, step: int) -> str:
        """See the base class; experience lasts for one iteration."""
        del step
        return ""

    def learn_from(self, steps: Any, progress: tf.Tensor) -> None:
        """See the base class."""
        del progress
        strategy = self._replicas.strategy
        rollout = strategy.run(self._examples, args=(steps,))
        goes_on = tf.constant(True)
        for _ in tf.range(self._agent.epochs):
            if goes_on:
                strategy.run(self._count_epoch)
                divergence = tf.constant(0.0)
                for block in tf.range(self._minibatches // self._block):
                    of_replicas = strategy.run(self._learn, args=(rollout, block))
                    divergence += strategy.reduce("SUM", of_replicas, axis=None)
                if self._agent.target_kl:
                    bound = _KL_TOLERANCE * self._agent.target_kl
                    goes_on = divergence / self._minibatches <= bound
        strategy.run(self._agent.after_rollout, args=(steps,))

    def _examples(self, steps: Steps) -> Any:
        """The rollout and its weights, fields `[T * B, ...]`."""
        running = self._running_returns.own()
        examples, after = self._prepared(steps, running.value())
        running.assign(after)
        return examples

    def _prepare(self, steps: Steps, running_return: tf.Tensor) -> tuple[Any, tf.Tensor]:
        if self._agent.normalizes_rewards:
            totals, running_return = running_returns(
                steps.reward, steps.ended, running_return, self._agent.discount
            )
            steps = steps._replace(reward=self._agent.normalized_rewards(steps.reward, totals))
        examples = self._agent.rollout(steps)
        return tf.nest.map_structure(flatten_time, examples), running_return

    def _count_epoch(self) -> None:
        self._epochs.own().assign_add(1)

    def _learn(self, examples: Any, block: tf.Tensor) -> tf.Tensor:
        """Makes the updates of a block of minibatches; returns the sum of their KL divergences."""
        seed = seeds.at(self._streams.own(), self._epochs.own())
        # XLA has no shuffle.
        order = tf.argsort(tf.random.stateless_uniform([self._size], seed))
        rows = tf.reshape(order, [self._minibatches // self._block, self._block, -1])
        indices = tf.gather(rows, block)
        batches, weights = tf.nest.map_structure(lambda each: tf.gather(each, indices), examples)
        _, sums = self._learner.learn(batches, weights)
        own = self.sums.own()
        own.assign_add(tf.cast(sums, own.dtype))
        figures = self._agent.figures
        if "approximate_kl" not in figures:
            return tf.constant(0.0)
        return sums[len(LEARNING_SUMS) + figures.index("approximate_kl")]

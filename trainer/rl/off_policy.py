"""Learning from a replay of transitions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine.checkpoints import State
from trainer.rl import seeds
from trainer.rl.agents.base import Agent
from trainer.rl.experience.replay import make_replay
from trainer.rl.learner import Learner
from trainer.rl.learning import Learning
from trainer.rl.replicas import PerReplica, Replicas
from trainer.rl.settings import replay_of
from trainer.rl.specs import EnvironmentSpec

# Updates with the transitions of one draw. Priorities are updated after them, and without a loop
# each of them is compiled by itself.
_UPDATES_PER_DRAW = 4


class ReplayLearning(Learning):
    """Stores every step and updates the agent with batches from the replay.

    Each replica has a replay and draws its share of a batch.
    """

    def __init__(
        self,
        config: ReinforcementLearning,
        replicas: Replicas,
        spec: EnvironmentSpec,
        agent: Agent,
        learner: Learner,
        sums: PerReplica[tf.Variable],
        compiles: bool,
    ):
        """Allocates the replays.

        Args:
          config: the experiment.
          replicas: of the run.
          spec: of the environment.
          agent: what is trained.
          learner: updates it.
          sums: see the base class.
          compiles: whether XLA compiles the sums of rewards.
        """
        train, replay = config.train, replay_of(config)
        assert replay
        num_envs = train.num_envs // replicas.total
        self.sums = sums
        self._replicas = replicas
        self._learner = learner
        self._min_size = replay.min_size
        self._batch_size = train.global_batch_size // replicas.total
        self._updates = train.gradient_steps
        if replay.kind != "uniform" or not learner.is_loop:
            self._updates = _largest_divisor(train.gradient_steps, _UPDATES_PER_DRAW)
        self._draws_per_iteration = train.gradient_steps // self._updates
        self.replays = replicas.make(
            lambda _: make_replay(replay, agent.n_step, num_envs, replicas.total, spec, compiles)
        )
        self._streams = replicas.make(lambda number: seeds.stream(config.seed, "replay", number))
        # Number of draws, which keys their random numbers.
        self._draws = replicas.make(lambda _: tf.Variable(0, dtype=tf.int64, trainable=False))
        self.state: State = {"draws": self._draws.tracked()}
        if train.checkpoint_replay:
            self.state = {**self.state, "experience": self.replays.tracked()}

    def compile(self) -> None:
        """See the base class."""
        number = self._updates * self._batch_size
        example = self.replays[0].example(number)
        batches, weights = self._batches(example.transitions), self._batches(example.weights)
        self._learner.compile(self._replicas.strategy, batches, weights)

    def learn_from(self, steps: Any, progress: tf.Tensor) -> None:
        """See the base class."""
        self._replicas.strategy.run(self._store, args=(steps,))
        # Equal on all replicas, which must agree.
        stored = self.replays[0].written() * self._replicas.total
        if stored >= self._min_size:
            for _ in tf.range(self._draws_per_iteration):
                self._replicas.strategy.run(self._learn, args=(progress,))

    def end_episodes(self) -> None:
        """See the base class."""
        for replay in self.replays:
            replay.end_episodes()

    def refill(self, step: int) -> str:
        """See the base class; a roll-back must not keep what a diverged agent left behind."""
        if "experience" in self.state or not (step or self.replays[0].written()):
            return ""
        for replay in self.replays:
            replay.clear()
        return (
            f"checkpoints have no replay: {self._min_size:,} transitions are collected before "
            "learning continues"
        )

    def figures(self) -> Mapping[str, float]:
        """The stored fraction of the replay's capacity."""
        return {"replay_fill": float(np.mean([replay.fill() for replay in self.replays]))}

    def _store(self, steps: Any) -> None:
        self.replays.own().add(steps)

    def _learn(self, progress: tf.Tensor) -> None:
        replay, draws = self.replays.own(), self._draws.own()
        seed = seeds.at(self._streams.own(), draws)
        draws.assign_add(1)
        sample = replay.batches(self._updates, self._batch_size, seed, progress)
        weights = self._batches(sample.weights)
        priorities, sums = self._learner.learn(
            self._batches(sample.transitions), weights / self._largest(weights)
        )
        replay.feedback(sample, tf.reshape(priorities, [-1]))
        own = self.sums.own()
        own.assign_add(tf.cast(sums, own.dtype))

    def _batches(self, fields: Any) -> Any:
        """Fields `[K * B, ...]` as `[K, B, ...]`."""
        return tf.nest.map_structure(
            lambda field: tf.reshape(field, [self._updates, self._batch_size, *field.shape[1:]]),
            fields,
        )

    def _largest(self, weights: tf.Tensor) -> tf.Tensor:
        """The largest of each batch `[K, B]` over all replicas, `[K, 1]`.

        Divided by it, importance weights only scale updates down (Schaul et al., 2016, section
        3.4).
        """
        largest = tf.reduce_max(weights, axis=1, keepdims=True)
        if self._replicas.total > 1:
            every = tf.distribute.get_replica_context().all_gather(largest, axis=1)
            largest = tf.reduce_max(every, axis=1, keepdims=True)
        return largest


def _largest_divisor(number: int, maximum: int) -> int:
    return max(divisor for divisor in range(1, maximum + 1) if number % divisor == 0)

"""Reinforcement learning as a task of the loop: collect, learn, repeat, inside the graph."""

import contextlib
import dataclasses
import math
import sys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine import distribution
from trainer.engine.checkpoints import State
from trainer.engine.distribution import Runtime
from trainer.errors import UserError
from trainer.io.memory import check_fits
from trainer.io.records import Value
from trainer.rl import evaluate, seeds
from trainer.rl.agents import base
from trainer.rl.collector import EPISODE_SUMS, Collector
from trainer.rl.envs import registry
from trainer.rl.envs.vector import VectorEnvironment, failures_as_user_errors
from trainer.rl.experience.replay import Replay, make_replay, memory_bytes
from trainer.rl.learner import LEARNING_SUMS, Learner

# Updates compiled together: more are no faster and take longer to compile.
_MAX_UPDATES_PER_BLOCK = 4


class _EnvironmentState(tf.train.experimental.PythonState):
    """The Python state of an environment, as part of a checkpoint."""

    def __init__(self, environment: VectorEnvironment):
        self._environment = environment
        self.why_lost = ""

    def serialize(self) -> bytes:
        """The environment's bytes."""
        return self._environment.state_bytes()

    def deserialize(self, string_value: bytes) -> None:
        """Restores the environment, or records why it cannot be restored."""
        self.why_lost = self._environment.restore_bytes(string_value)


@dataclasses.dataclass(frozen=True)
class _LocalReplica:
    """What belongs to one replica of this process: environments, replay, counters.

    Attributes:
      collector: plays the environments.
      experience: stores what was played.
      draws: int64, number of samples drawn, which keys their random numbers.
      stream: the seed of these random numbers.
      episode_sums: float64 `[4]`, `EPISODE_SUMS` since the last report.
      learning_sums: float64 `[3 + figures]`, `LEARNING_SUMS` and the agent's figures.
    """

    collector: Collector
    experience: Replay
    draws: tf.Variable
    stream: int
    episode_sums: tf.Variable
    learning_sums: tf.Variable


class ReinforcementLearningTask:
    """Trains an agent under one strategy.

    Each replica has its own environments and replay and draws its share of a batch. The
    gradients are summed, so that the networks stay equal.

    Attributes:
      agent: what is trained.
      evaluator: plays greedy episodes with it.
      replay_bytes: memory of the replay, over all replicas.
    """

    step_name = "environment step"

    def __init__(self, config: ReinforcementLearning, runtime: Runtime):
        """Creates all state in the runtime's strategy scope.

        Raises:
          UserError: if the environment is unknown, or the settings do not fit together.
        """
        check(config, runtime)
        self._config = config
        self._strategy = runtime.strategy
        train, replay = config.train, config.agent.replay
        self.steps_per_iteration = train.num_envs * train.collect_steps
        environments = [registry.make(config.environment) for _ in range(runtime.local_replicas)]
        spec = environments[0].spec
        self.replay_bytes = memory_bytes(replay, spec)
        check_fits(
            self.replay_bytes,
            "use a smaller agent.replay.capacity",
            f"{replay.capacity} transitions",
        )
        self._schedule_iterations = _schedule_iterations(config)
        compiles = compiles_agents(config, runtime)
        with self._strategy.scope():
            self.agent = base.build(config, spec)
            self._learner = Learner(
                self.agent,
                base.optimizer_section(config),
                schedule_updates(config, self.agent.n_step),
                train.global_batch_size,
                runtime.replicas,
                compiles,
                scales_loss=runtime.precision == "mixed_float16",
                seed=config.seed,
            )
        self._replicas = [
            self._make_replica(number, environment, device, runtime, compiles)
            for number, environment, device in zip(
                runtime.global_replica_ids,
                environments,
                self._strategy.extended.worker_devices,
                strict=True,
            )
        ]
        self._first_replica = runtime.global_replica_ids[0]
        self._iterations_done = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._updates_per_block = _largest_divisor(train.gradient_steps, _MAX_UPDATES_PER_BLOCK)
        self._replica_batch_size = train.global_batch_size // runtime.replicas
        self._learning_is_compiled = False
        self._python_states = [_EnvironmentState(each) for each in environments]
        self.state: State = {
            "agent": self.agent,
            "learner": self._learner,
            "iterations": self._iterations_done,
            "collectors": _listed(replica.collector for replica in self._replicas),
            "experience": _listed(replica.experience for replica in self._replicas),
            "draws": _listed(replica.draws for replica in self._replicas),
            "environments": _listed(self._python_states),
        }
        self.accumulators: State = {
            "episodes": _listed(replica.episode_sums for replica in self._replicas),
            "learning": _listed(replica.learning_sums for replica in self._replicas),
        }
        self.parameters: Sequence[tf.Variable] = [
            *self.agent.variables,
            *self._learner.optimizer.slots,
        ]
        self.evaluator = evaluate.Evaluator(config, self.agent, compiles)

    def _make_replica(
        self,
        number: int,
        environment: VectorEnvironment,
        device: str,
        runtime: Runtime,
        compiles: bool,
    ) -> _LocalReplica:
        """The replica of a global number, which keys its random numbers."""
        config, count = self._config, runtime.replicas
        num_envs = config.train.num_envs // count
        # Plain variables on the replica's own device.
        with tf.device(device):
            return _LocalReplica(
                collector=Collector(config, environment, self.agent, num_envs, number, compiles),
                experience=make_replay(
                    config.agent.replay,
                    self.agent.n_step,
                    num_envs,
                    count,
                    environment.spec,
                    compiles,
                ),
                draws=tf.Variable(0, dtype=tf.int64, trainable=False),
                stream=seeds.stream(config.seed, "replay", number),
                episode_sums=_sums(len(EPISODE_SUMS)),
                learning_sums=_sums(len(LEARNING_SUMS) + len(self.agent.figures)),
            )

    @property
    def headline(self) -> Sequence[str]:
        """Returns of training and of evaluation, the loss, and the state of exploration."""
        exploration = self._replicas[0].collector.exploration_figures()
        names = ["train/return_mean", "eval/return_mean", "train/loss"]
        return [*names, *(f"train/{name}" for name in exploration)]

    def start(self, step: int) -> None:
        """Starts new episodes where those of a checkpoint cannot be restored."""
        del step
        reasons = [state.why_lost for state in self._python_states if state.why_lost]
        if reasons:
            print(f"{reasons[0]}; starting new episodes", file=sys.stderr)
            for replica in self._replicas:
                replica.collector.start_new_episodes()
                replica.experience.end_episodes()

    def advance(self, iterations: int) -> float:
        """Runs `iterations` of collecting and learning; never waits for input."""
        if not self._learning_is_compiled:
            # With the first chunk, whose time is not counted as training. The first update may
            # follow many chunks later.
            self._compile_learning()
            self._learning_is_compiled = True
        with contextlib.ExitStack() as stack:
            for replica in self._replicas:
                stack.enter_context(failures_as_user_errors(replica.collector.environment))
            self._advance(tf.constant(iterations))
        return 0.0

    def metrics(self) -> Mapping[str, float]:
        """Means since the last `reset_metrics`; returns only if an episode has ended."""
        replicas = self._replicas
        episodes = dict(
            zip(EPISODE_SUMS, sum(r.episode_sums.numpy() for r in replicas), strict=True)
        )
        updates, *means = sum(r.learning_sums.numpy() for r in replicas)
        names = (*LEARNING_SUMS[1:], *self.agent.figures)
        metrics = {
            name: float(value / max(updates, 1.0)) for name, value in zip(names, means, strict=True)
        }
        metrics["learning_rate"] = self._learner.optimizer.current_learning_rate()
        metrics["replay_fill"] = float(np.mean([r.experience.fill() for r in replicas]))
        for name, value in replicas[0].collector.exploration_figures().items():
            metrics[name] = float(value)
        count = float(episodes["episodes"])
        metrics["episodes"] = count
        if count:
            mean = float(episodes["return"]) / count
            variance = float(episodes["squared_return"]) / count - mean**2
            metrics["return_mean"] = mean
            metrics["return_std"] = math.sqrt(max(variance, 0.0))
            metrics["length_mean"] = float(episodes["length"]) / count
        return metrics

    def reset_metrics(self) -> None:
        """Resets the sums behind `metrics`."""
        for replica in self._replicas:
            for variable in (replica.episode_sums, replica.learning_sums):
                variable.assign(tf.zeros_like(variable))

    def throughput(self, steps_per_second: float) -> Mapping[str, float]:
        """Environment steps and updates per second."""
        train = self._config.train
        return {
            "env_steps_per_second": steps_per_second,
            "updates_per_second": steps_per_second
            * train.gradient_steps
            / self.steps_per_iteration,
        }

    def evaluate(self) -> Mapping[str, Value]:
        """Greedy episodes, the same ones each time."""
        return self.evaluator.evaluate_interim()

    def scale_learning_rate(self, factor: float) -> None:
        """Multiplies the configured learning rate of all later updates by `factor`."""
        self._learner.optimizer.learning_rate.scale.assign(factor)

    @tf.function
    def _advance(self, iterations: tf.Tensor) -> None:
        blocks = self._config.train.gradient_steps // self._updates_per_block
        for _ in tf.range(iterations):
            self._strategy.run(self._collect)
            self._iterations_done.assign_add(1)
            replicas = self._strategy.num_replicas_in_sync
            stored = self._replicas[0].experience.size() * replicas
            if stored >= self._config.agent.replay.min_size:
                for _ in tf.range(blocks):
                    self._strategy.run(self._learn)

    def _collect(self) -> None:
        replica = self._replica()
        steps, sums = replica.collector.collect()
        replica.experience.add(steps)
        replica.episode_sums.assign_add(sums)

    def _compile_learning(self) -> None:
        updates = self._updates_per_block
        example = self._replicas[0].experience.example(updates * self._replica_batch_size)
        self._learner.compile(self._strategy, example, updates)

    def _learn(self) -> None:
        replica, updates = self._replica(), self._updates_per_block
        done = tf.cast(self._iterations_done, tf.float32)
        progress = tf.minimum(done / self._schedule_iterations, 1.0)
        seed = seeds.at(replica.stream, replica.draws)
        replica.draws.assign_add(1)
        sample = replica.experience.batches(
            updates, self._replica_batch_size, seed, tf.minimum(progress, 1.0)
        )
        priorities, sums = self._learner.learn(sample, updates)
        replica.experience.feedback(sample, priorities)
        replica.learning_sums.assign_add(tf.cast(sums, tf.float64))

    def _replica(self) -> _LocalReplica:
        """This replica's own state, in a replica context."""
        if len(self._replicas) == 1:
            return self._replicas[0]
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        return self._replicas[int(tf.get_static_value(number)) - self._first_replica]


def compiles_agents(config: ReinforcementLearning, runtime: Runtime) -> bool:
    """Whether XLA compiles acting and learning.

    On a CPU networks of dense layers are faster compiled, convolutions are slower.
    """
    return runtime.compiles(default_on_cpu=config.model.kind in ("linear", "mlp"))


def check(config: ReinforcementLearning, runtime: Runtime) -> None:
    """Checks that the settings fit together, and fit the strategy.

    Raises:
      UserError: naming the remedy.
    """
    train, replay = config.train, config.agent.replay
    if runtime.workers > 1 or runtime.name == "tpu":
        raise UserError(
            "reinforcement learning runs on the CPU or GPUs of one host; use --strategy=cpu, gpu "
            f"or mirrored. Received: {runtime.description}"
        )
    distribution.check_divisible(train.num_envs, runtime.replicas, "train.num_envs")
    distribution.check_divisible(
        train.global_batch_size, runtime.replicas, "train.global_batch_size"
    )
    for name, value in (("min_size", replay.min_size), ("capacity", replay.capacity)):
        if value < train.global_batch_size:
            raise UserError(
                f"agent.replay.{name} must be at least train.global_batch_size="
                f"{train.global_batch_size}. Received: {value}"
            )
    rows = replay.capacity // train.num_envs
    n_step = getattr(config.agent, "n_step", 1)
    if rows < max(n_step, train.collect_steps):
        raise UserError(
            f"agent.n_step and train.collect_steps must be at most {rows}: agent.replay.capacity="
            f"{replay.capacity} holds so many steps of each of {train.num_envs} environments. "
            f"Received: {n_step} and {train.collect_steps}"
        )
    if replay.min_size > rows * train.num_envs:
        raise UserError(
            f"agent.replay.min_size must be at most {rows * train.num_envs}, the transitions that "
            f"fit into agent.replay.capacity={replay.capacity} as whole rows of "
            f"{train.num_envs} environments. Received: {replay.min_size}"
        )


def schedule_updates(config: ReinforcementLearning, n_step: int) -> int:
    """The updates of a whole schedule; none happens before the replay has its minimum."""
    train = config.train
    rows = math.ceil(config.agent.replay.min_size / train.num_envs)
    # A transition is stored n_step - 1 steps after it began.
    first_iteration = math.ceil((rows + n_step - 1) / train.collect_steps)
    iterations = _schedule_iterations(config) - first_iteration + 1
    return max(0, iterations) * train.gradient_steps


def _schedule_iterations(config: ReinforcementLearning) -> int:
    """The iterations over which the learning rate and the importance exponent change."""
    train = config.train
    steps = base.optimizer_section(config).schedule_steps or train.steps
    return math.ceil(steps / (train.num_envs * train.collect_steps))


def _sums(size: int) -> tf.Variable:
    return tf.Variable(tf.zeros([size], tf.float64), trainable=False)


def _listed(trackables: Iterable[object]) -> tf.Module:
    """Trackable objects as one, which a checkpoint saves in their order."""
    module = tf.Module()
    module.items = list(trackables)
    return module


def _largest_divisor(number: int, maximum: int) -> int:
    return max(divisor for divisor in range(1, maximum + 1) if number % divisor == 0)

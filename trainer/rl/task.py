"""Q-learning behind the loop's `Task`: collect, learn, repeat, inside the graph."""

import contextlib
import functools
import sys
from collections.abc import Mapping

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine import distribution
from trainer.engine.distribution import Runtime
from trainer.engine.metric_writers import Value
from trainer.errors import UserError
from trainer.io.memory import check_fits
from trainer.rl import evaluate
from trainer.rl.agents.dqn import Loss, QAgent, compiles
from trainer.rl.collector import TOTALS, Actor
from trainer.rl.envs import registry
from trainer.rl.envs.vector import VectorEnvironment, failures_as_user_errors
from trainer.rl.experience.n_step import Transition
from trainer.rl.experience.replay import memory_bytes

# Updates compiled together: more is no faster and takes longer to compile.
_MOST_UPDATES_TOGETHER = 4


class _EnvironmentState(tf.train.experimental.PythonState):
    """What an environment keeps in Python, as part of a checkpoint."""

    def __init__(self, environment: VectorEnvironment):
        self._environment = environment
        self.lost = False

    def serialize(self) -> bytes:
        """The environments' bytes; empty where they cannot be saved."""
        return self._environment.state_bytes()

    def deserialize(self, string_value: bytes) -> None:
        """Takes them back, or takes note that there is nothing to take."""
        self.lost = not self._environment.restore_bytes(string_value)


class QLearningTask:
    """Trains a Q-learning agent under one strategy.

    Each replica has its own environments and replay and draws its share of a batch; the
    gradients are summed, so that the networks stay equal.

    Attributes:
      agent: what is trained.
      evaluator: plays greedy episodes with it.
      replay_bytes: memory of the replay, over all replicas.
    """

    unit = "environment step"

    def __init__(self, config: ReinforcementLearning, runtime: Runtime):
        """Builds all state in the runtime's strategy scope.

        Raises:
          UserError: if the environment is unknown, or the settings do not fit together.
        """
        check(config, runtime)
        self._config = config
        self._strategy = runtime.strategy
        self.stride = config.train.environments * config.train.collect_steps
        self._environments = [registry.make(config.environment) for _ in range(runtime.replicas)]
        first = self._environments[0]
        self.replay_bytes = memory_bytes(
            config.replay, first.observation_shape, first.observation_dtype
        )
        check_fits(
            self.replay_bytes,
            "take a smaller replay.capacity",
            f"{config.replay.capacity} transitions",
        )
        self._iterations = -(-config.train.steps // self.stride)
        self._compiles = compiles(config, runtime)
        with self._strategy.scope():
            self.agent = QAgent(
                config,
                first.observation_shape,
                first.observation_dtype,
                first.num_actions,
                self._iterations * config.train.updates,
            )
        self._actors = []
        for number, environment in enumerate(self._environments):
            # One replica's own: plain variables on its device.
            with tf.device(self._strategy.extended.worker_devices[number]):
                self._actors.append(
                    Actor(config, environment, self.agent, number, runtime.replicas, self._compiles)
                )
        self._done = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._python_states = [_EnvironmentState(each) for each in self._environments]
        self.state = tf.train.Checkpoint(
            agent=self.agent,
            learning_rate_scale=self.agent.learning_rate.scale,
            actors=self._actors,
            done=self._done,
            python=self._python_states,
        )
        self.evaluator = evaluate.Evaluator(config, self.agent, self._compiles)

    def start(self, step: int) -> None:
        """Starts fresh episodes where a checkpoint could not hold the old ones."""
        del step
        if any(state.lost for state in self._python_states):
            print("the environments could not be restored: new episodes begin", file=sys.stderr)
            for actor in self._actors:
                actor.begin_episodes_anew()

    def advance(self, iterations: int) -> float:
        """Runs `iterations` of collecting and learning; nothing is waited for."""
        with contextlib.ExitStack() as stack:
            for environment in self._environments:
                stack.enter_context(failures_as_user_errors(environment))
            self._advance(tf.constant(iterations))
        return 0.0

    def metrics(self) -> Mapping[str, float]:
        """Means since the last `reset_metrics`; returns only where an episode has ended."""
        totals = sum(actor.totals.numpy() for actor in self._actors)
        sums = dict(zip(TOTALS, totals.tolist(), strict=True))
        updates = sums["updates"] / len(self._actors)
        figures = {
            "loss": sums["loss"] / max(updates, 1.0),
            "epsilon": float(self._actors[0].epsilon()),
            "episodes": sums["episodes"],
        }
        if sums["episodes"]:
            figures["return_mean"] = sums["return"] / sums["episodes"]
            figures["length_mean"] = sums["length"] / sums["episodes"]
        return figures

    def reset_metrics(self) -> None:
        """Begins new sums."""
        for actor in self._actors:
            actor.totals.assign(tf.zeros_like(actor.totals))

    def evaluate(self) -> Mapping[str, Value]:
        """Greedy episodes, the same ones each time."""
        return self.evaluator.evaluate_on_the_way()

    def scale_learning_rate(self, factor: float) -> None:
        """Makes every later step size `factor` times the configured one."""
        self.agent.learning_rate.scale.assign(factor)

    @tf.function
    def _advance(self, iterations: tf.Tensor) -> None:
        train = self._config.train
        together = _largest_divisor(train.updates, _MOST_UPDATES_TOGETHER)
        for _ in tf.range(iterations):
            self._strategy.run(self._collect)
            self._done.assign_add(1)
            stored = self._actors[0].stored() * len(self._actors)
            if stored >= self._config.replay.warmup:
                for _ in tf.range(train.updates // together):
                    self._strategy.run(self._learn, args=(together,))

    def _collect(self) -> None:
        self._actor().collect()

    def _learn(self, updates: int) -> None:
        actor = self._actor()
        progress = tf.cast(self._done, tf.float32) / self._iterations
        sample = actor.sample(updates, progress)
        parts = [
            tf.nest.map_structure(
                lambda field, k=number: tf.split(field, updates)[k],
                (sample.transitions, sample.weights),
            )
            for number in range(updates)
        ]
        if self._compiles and len(self._actors) == 1:
            losses = self._compiled_updates(parts)
        else:
            losses = [self._update(*part) for part in parts]
        actor.learnt(
            sample,
            tf.concat([loss.loss for loss in losses], axis=0),
            tf.concat([loss.td_error for loss in losses], axis=0),
            updates,
        )

    @functools.cached_property
    def _compiled_updates(self) -> tf.types.experimental.PolymorphicFunction:
        return tf.function(lambda parts: [self._update(*part) for part in parts], jit_compile=True)

    def _update(self, transitions: Transition, weights: tf.Tensor) -> Loss:
        gradients, losses = self.agent.gradients(
            transitions, weights, self._config.train.global_batch_size
        )
        self.agent.apply(gradients)
        return losses

    def _actor(self) -> Actor:
        if len(self._actors) == 1:
            return self._actors[0]
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        return self._actors[int(tf.get_static_value(number))]


def check(config: ReinforcementLearning, runtime: Runtime) -> None:
    """Refuses settings that do not fit together, or not the distribution.

    Raises:
      UserError: naming the remedy.
    """
    train, replay = config.train, config.replay
    if runtime.workers > 1 or runtime.name == "tpu":
        raise UserError(
            "reinforcement learning runs on one host's CPU or GPUs so far; take --strategy=cpu, "
            f"gpu or mirrored. Received: {runtime.description}"
        )
    distribution.check_divisible(train.environments, runtime.replicas, "train.environments")
    distribution.check_divisible(
        train.global_batch_size, runtime.replicas, "train.global_batch_size"
    )
    for name, value in (("replay.warmup", replay.warmup), ("replay.capacity", replay.capacity)):
        if value < train.global_batch_size:
            raise UserError(
                f"{name} must be at least train.global_batch_size={train.global_batch_size}. "
                f"Received: {value}"
            )
    rows = replay.capacity // train.environments
    n = getattr(config.agent, "n_step", 1)
    if rows < n:
        raise UserError(
            f"agent.n_step must be at most the {rows} steps that replay.capacity holds of each of "
            f"{train.environments} environments. Received: {n}"
        )
    if replay.warmup > rows * train.environments:
        raise UserError(
            f"replay.warmup must be at most the {rows * train.environments} transitions that fit "
            f"into replay.capacity={replay.capacity} as whole rows of {train.environments} "
            f"environments. Received: {replay.warmup}"
        )


def _largest_divisor(number: int, most: int) -> int:
    return max(divisor for divisor in range(1, most + 1) if number % divisor == 0)

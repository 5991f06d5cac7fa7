"""Reinforcement learning as a task of the loop: collect, learn, repeat, inside the graph."""

import contextlib
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine import agreement
from trainer.engine.checkpoints import State
from trainer.engine.distribution import Runtime
from trainer.io.records import Value
from trainer.rl import evaluate, settings
from trainer.rl.agents import base
from trainer.rl.agents.actor_critic import ActorCriticAgent
from trainer.rl.collector import EPISODE_SUMS, Collector
from trainer.rl.envs import registry
from trainer.rl.envs.vector import VectorEnvironment, failures_as_user_errors
from trainer.rl.experience.steps import Steps
from trainer.rl.learner import LEARNING_SUMS, Learner
from trainer.rl.learning import Learning
from trainer.rl.off_policy import ReplayLearning
from trainer.rl.on_policy import RolloutLearning
from trainer.rl.replicas import HOST, PerReplica, Replicas


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


class ReinforcementLearningTask:
    """Trains an agent under one strategy.

    Each replica has its own environments and learns from its share of a batch. The gradients are
    summed, so that the networks stay equal.

    Attributes:
      agent: what is trained.
      learner: updates it.
      learning: from the collected steps.
      collectors: play the environments of each replica.
      evaluator: plays greedy episodes.
      experience_bytes: memory of the replay or of a rollout, over all replicas.
    """

    step_name = "environment step"

    def __init__(self, config: ReinforcementLearning, runtime: Runtime):
        """Creates all state in the runtime's strategy scope.

        Raises:
          UserError: if the environment is unknown, or the settings do not fit together.
        """
        settings.check(config, runtime)
        self._config = config
        self._runtime = runtime
        self._strategy = runtime.strategy
        self._replicas = replicas = Replicas.of(runtime)
        self.steps_per_iteration = config.train.num_envs * config.train.collect_steps
        environments = [registry.make(config.environment) for _ in replicas.numbers]
        spec = environments[0].spec
        settings.check_actions(config, spec)
        self.experience_bytes = settings.check_memory(config, spec)
        self._schedule_iterations = settings.schedule_iterations(config)
        compiles = settings.compiles_agents(config, runtime)
        with self._strategy.scope():
            self.agent = base.build(config, spec)
            self.learner = Learner(
                self.agent,
                base.optimizer_section(config),
                settings.schedule_updates(config, self.agent.n_step),
                settings.batch_size(config),
                runtime.replicas,
                compiles,
                scales_loss=runtime.precision == "mixed_float16",
                seed=config.seed,
            )
        first = replicas.numbers[0]

        def make_collector(number: int) -> Collector:
            num_envs = config.train.num_envs // replicas.total
            environment = environments[number - first]
            return Collector(config, environment, self.agent, num_envs, number, compiles)

        # A TPU cannot call environments in Python.
        self._collects_on_host = runtime.name == "tpu" and not environments[0].in_graph
        self.collectors = replicas.make(make_collector, on_host=self._collects_on_host)
        dtype = tf.float32 if runtime.name == "tpu" else tf.float64
        # The sums of `EPISODE_SUMS` since the last report.
        self._episode_sums = replicas.make(lambda _: _sums(len(EPISODE_SUMS), dtype))
        learning_sums = replicas.make(
            lambda _: _sums(len(LEARNING_SUMS) + len(self.agent.figures), dtype)
        )
        self.learning: Learning
        if isinstance(self.agent, ActorCriticAgent):
            self.learning = RolloutLearning(
                config, replicas, self.agent, self.learner, learning_sums, compiles
            )
        else:
            self.learning = ReplayLearning(
                config, replicas, spec, self.agent, self.learner, learning_sums, compiles
            )
        self._iterations_done = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._learning_is_compiled = False
        self._python_states = [_EnvironmentState(each) for each in environments]
        python_states = tf.Module()
        python_states.items = self._python_states
        self.state: State = {
            "agent": self.agent,
            "learner": self.learner,
            "iterations": self._iterations_done,
        }
        self.local_state: State = {
            "collectors": self.collectors.tracked(),
            "environments": python_states,
            **self.learning.state,
        }
        # Evaluation and export need no more.
        self.best_state: State | None = {"agent": self.agent}
        self.accumulators: State = {
            "episodes": self._episode_sums.tracked(),
            "learning": learning_sums.tracked(),
        }
        if runtime.workers > 1:
            # These are sums of this worker alone.
            sums = tf.train.Checkpoint(**self.accumulators)
            self.local_state = {**self.local_state, "sums": sums}
            self.accumulators = {}
        self.parameters: Sequence[tf.Variable] = [
            *self.agent.variables,
            *self.learner.optimizer.slots,
        ]
        self.evaluator = evaluate.Evaluator(config, self.agent, compiles)

    @property
    def headline(self) -> Sequence[str]:
        """Returns of training and of evaluation, the loss, and the state of exploration."""
        exploration = self.collectors[0].exploration_figures()
        names = ["train/return_mean", "eval/return_mean", "train/loss"]
        return [*names, *(f"train/{name}" for name in exploration)]

    def start(self, step: int) -> None:
        """Starts new episodes where those of a checkpoint cannot be restored."""
        reasons = [state.why_lost for state in self._python_states if state.why_lost]
        if missing := self.learning.refill(step):
            # What was stored of the current episodes is missing too.
            reasons = [missing]
        if reasons:
            print(f"{reasons[0]}; starting new episodes", file=sys.stderr)
            for collector in self.collectors:
                collector.start_new_episodes()
            self.learning.end_episodes()

    def advance(self, iterations: int) -> float:
        """Runs `iterations` of collecting and learning; never waits for input."""
        if not self._learning_is_compiled:
            # With the first chunk, whose time is not counted as training. The first update may
            # follow many chunks later.
            self.learning.compile()
            self._learning_is_compiled = True
        with contextlib.ExitStack() as stack:
            for collector in self.collectors:
                stack.enter_context(failures_as_user_errors(collector.environment))
            self._advance(tf.constant(iterations))
        return 0.0

    def metrics(self) -> Mapping[str, float]:
        """Means since the last `reset_metrics`; returns only if an episode has ended."""
        episodes = dict(zip(EPISODE_SUMS, self._total(self._episode_sums), strict=True))
        updates, *means = self._total(self.learning.sums)
        names = (*LEARNING_SUMS[1:], *self.agent.figures)
        metrics = {
            name: float(value / max(updates, 1.0)) for name, value in zip(names, means, strict=True)
        }
        metrics["learning_rate"] = self.learner.optimizer.current_learning_rate()
        metrics.update(self.learning.figures())
        for name, value in self.collectors[0].exploration_figures().items():
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

    def _total(self, sums: PerReplica[tf.Variable]) -> NDArray[np.float64]:
        """The sum of all replicas' sums."""
        local = np.sum([each.numpy() for each in sums], axis=0)
        return self._runtime.sums_over_workers(local)

    def reset_metrics(self) -> None:
        """Resets the sums behind `metrics`."""
        for variable in (*self._episode_sums, *self.learning.sums):
            variable.assign(tf.zeros_like(variable))

    def throughput(self, steps_per_second: float) -> Mapping[str, float]:
        """Environment steps and updates per second."""
        updates = settings.updates_per_iteration(self._config)
        return {
            "env_steps_per_second": steps_per_second,
            "updates_per_second": steps_per_second * updates / self.steps_per_iteration,
        }

    def evaluate(self) -> Mapping[str, Value]:
        """Greedy episodes, the same ones each time."""
        return self.by_chief(self.evaluator.evaluate_interim)

    def by_chief(self, evaluation: Callable[[], Mapping[str, Value]]) -> Mapping[str, Value]:
        """The metrics of an evaluation that the chief makes for all workers.

        Raises:
          UserError: on all workers, if the environment fails.
        """
        text = ""
        with agreement.shared_errors(self._runtime):
            if self._runtime.is_chief:
                text = json.dumps(evaluation())
        (found,) = filter(None, self._runtime.texts_of_workers(text))
        metrics: Mapping[str, Value] = json.loads(found)
        return metrics

    def scale_learning_rate(self, factor: float) -> None:
        """Multiplies the configured learning rate of all later updates by `factor`."""
        self.learner.optimizer.learning_rate.scale.assign(factor)

    @tf.function
    def _advance(self, iterations: tf.Tensor) -> None:
        for _ in tf.range(iterations):
            if self._collects_on_host:
                with tf.device(HOST):
                    steps = self._collect()
            else:
                steps = self._strategy.run(self._collect)
            self._iterations_done.assign_add(1)
            done = tf.cast(self._iterations_done, tf.float32)
            progress = tf.minimum(done / self._schedule_iterations, 1.0)
            self.learning.learn_from(steps, progress)

    def _collect(self) -> Steps:
        steps, sums = self.collectors.own().collect()
        own = self._episode_sums.own()
        own.assign_add(tf.cast(sums, own.dtype))
        return steps


def _sums(size: int, dtype: tf.DType) -> tf.Variable:
    return tf.Variable(tf.zeros([size], dtype), trainable=False)

"""What follows from the settings of an experiment, and which of them fit together."""

import math

from trainer.config.agents import OnPolicy, PrioritizedReplay, Reinforce, Replay
from trainer.config.rl import ReinforcementLearning
from trainer.engine import distribution
from trainer.engine.distribution import Runtime
from trainer.errors import UserError
from trainer.io.memory import check_fits
from trainer.rl.agents import base
from trainer.rl.experience.replay import memory_bytes
from trainer.rl.specs import Discrete, EnvironmentSpec


def compiles_agents(config: ReinforcementLearning, runtime: Runtime) -> bool:
    """Whether XLA compiles acting and learning.

    On a CPU networks of dense layers are faster compiled, convolutions are slower.
    """
    return runtime.compiles(default_on_cpu=config.model.kind in ("linear", "mlp"))


def replay_of(config: ReinforcementLearning) -> Replay | None:
    """The `agent.replay` section; None for an agent that learns on-policy."""
    return None if isinstance(config.agent, OnPolicy) else config.agent.replay


def steps_per_iteration(config: ReinforcementLearning) -> int:
    """Environment steps of one collection."""
    return config.train.num_envs * config.train.collect_steps


def batch_size(config: ReinforcementLearning) -> int:
    """Transitions per update, over all replicas."""
    return config.train.global_batch_size or steps_per_iteration(config)


def minibatches(config: ReinforcementLearning) -> int:
    """Updates in one epoch of a rollout."""
    return steps_per_iteration(config) // batch_size(config)


def updates_per_iteration(config: ReinforcementLearning) -> int:
    """Updates after each collection, where none is left out."""
    if isinstance(config.agent, OnPolicy):
        return getattr(config.agent, "epochs", 1) * minibatches(config)
    return config.train.gradient_steps


def schedule_updates(config: ReinforcementLearning, n_step: int) -> int:
    """The updates of a whole schedule; none happens before the replay has its minimum."""
    train, replay = config.train, replay_of(config)
    first_iteration = 1
    if replay:
        rows = math.ceil(replay.min_size / train.num_envs)
        # A transition is stored n_step - 1 steps after it began.
        first_iteration = math.ceil((rows + n_step - 1) / train.collect_steps)
    iterations = schedule_iterations(config) - first_iteration + 1
    return max(0, iterations) * updates_per_iteration(config)


def schedule_iterations(config: ReinforcementLearning) -> int:
    """The iterations over which the learning rate and the importance exponent change."""
    steps = base.optimizer_section(config).schedule_steps or config.train.steps
    return math.ceil(steps / steps_per_iteration(config))


def check(config: ReinforcementLearning, runtime: Runtime) -> None:
    """Checks that the settings fit together, and fit the strategy.

    Raises:
      UserError: naming the remedy.
    """
    train, replay = config.train, replay_of(config)
    if runtime.name == "tpu":
        _check_tpu(replay, runtime)
    distribution.check_divisible(train.num_envs, runtime.replicas, "train.num_envs")
    distribution.check_divisible(
        train.global_batch_size, runtime.replicas, "train.global_batch_size"
    )
    if replay:
        _check_replay(config, replay)
    else:
        _check_rollout(config)


def check_actions(config: ReinforcementLearning, spec: EnvironmentSpec) -> None:
    """Checks that the evaluation fits the environment's actions.

    Raises:
      UserError: if it would draw random continuous actions.
    """
    epsilon = config.evaluate.epsilon
    if epsilon and not isinstance(spec.action, Discrete):
        raise UserError(
            f"evaluate.epsilon must be 0 for the continuous actions of {config.environment.name!r}."
            f" Received: {epsilon}"
        )


def check_memory(config: ReinforcementLearning, spec: EnvironmentSpec) -> int:
    """The memory of what is collected, bytes, over all replicas.

    Raises:
      UserError: if it does not fit.
    """
    if replay := replay_of(config):
        size = memory_bytes(replay, spec)
        check_fits(size, "use a smaller agent.replay.capacity", f"{replay.capacity} transitions")
        return size
    steps = steps_per_iteration(config)
    # A rollout holds each observation and what followed it.
    size = 2 * steps * math.prod(spec.observation_shape) * spec.observation_dtype.size
    check_fits(size, "use a smaller train.collect_steps", f"a rollout of {steps} steps")
    return size


def _check_tpu(replay: Replay | None, runtime: Runtime) -> None:
    if runtime.replicas > 1:
        raise UserError(
            "agents train on one TPU core, since a checkpoint holds the environments of each; use "
            f"a TPU of one core, such as v5litepod-1. Received: {runtime.description}"
        )
    if isinstance(replay, PrioritizedReplay):
        raise UserError(
            "agent.replay.kind 'prioritized' adds in float64, which a TPU does not have; use "
            "'uniform'"
        )


def _check_replay(config: ReinforcementLearning, replay: Replay) -> None:
    train = config.train
    if not train.global_batch_size:
        raise UserError(
            f"train.global_batch_size must be positive for agent.kind {config.agent.kind!r}, which "
            "has a replay. Received: 0"
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


def _check_rollout(config: ReinforcementLearning) -> None:
    train, steps = config.train, steps_per_iteration(config)
    batch = batch_size(config)
    if isinstance(config.agent, Reinforce) and batch != steps:
        raise UserError(
            "agent.kind 'reinforce' makes one update with each rollout; set "
            f"train.global_batch_size to 0. Received: {batch}"
        )
    if steps % batch:
        raise UserError(
            f"train.global_batch_size must divide the {steps} steps of a rollout, train.num_envs="
            f"{train.num_envs} times train.collect_steps={train.collect_steps}. Received: {batch}"
        )

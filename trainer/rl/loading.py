"""The trained agent of a run's selected checkpoint, without replay and optimizer."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from trainer.config.rl import ReinforcementLearning
from trainer.engine import runner
from trainer.engine.checkpoints import CheckpointInfo, restore
from trainer.engine.distribution import Runtime
from trainer.io.records import Value
from trainer.rl.agents import base
from trainer.rl.agents.base import Agent
from trainer.rl.envs import registry
from trainer.rl.evaluate import Evaluator
from trainer.rl.settings import check, compiles_agents

# What is also reported of the last checkpoint.
_OF_THE_LAST = ("return_mean", "return_iqm", "return_ci95")


class Trained(NamedTuple):
    """A trained agent.

    Attributes:
      experiment: the configuration, with one seed.
      step: environment steps that its weights were trained for.
      agent: with the checkpoint's weights.
      evaluator: plays greedy episodes with it.
      found: the checkpoint.
    """

    experiment: ReinforcementLearning
    step: int
    agent: Agent
    evaluator: Evaluator
    found: CheckpointInfo


def load(experiment: ReinforcementLearning, path: str, runtime: Runtime) -> Trained:
    """The agent of a run's best or last checkpoint, as `evaluate.checkpoint` selects.

    Raises:
      UserError: if there is no complete checkpoint, or the environment cannot be created.
    """
    found = runner.checkpoint_of(path, experiment.evaluate.checkpoint)
    check(experiment, runtime)
    environment = registry.make(experiment.environment)
    with runtime.strategy.scope():
        agent = base.build(experiment, environment.spec)
    restore(found, {"agent": agent})
    evaluator = Evaluator(experiment, agent, compiles_agents(experiment, runtime))
    return Trained(experiment, found.step, agent, evaluator, found)


def evaluate_checkpoints(
    experiment: ReinforcementLearning,
    path: str,
    agent: Agent,
    selected: CheckpointInfo,
    evaluation: Callable[[], Mapping[str, Value]],
) -> Mapping[str, Value]:
    """The metrics of the selected checkpoint, and beside those of the best some of the last one.

    Args:
      experiment: the configuration.
      path: the work directory.
      agent: receives the weights, and ends with those of the selected checkpoint.
      selected: the best or the last checkpoint.
      evaluation: evaluates the agent.
    """
    restore(selected, {"agent": agent})
    metrics = evaluation()
    if experiment.evaluate.checkpoint == "last":
        return metrics
    of_last, last = metrics, runner.checkpoint_of(path, "last")
    if last.step != selected.step:
        restore(last, {"agent": agent})
        of_last = evaluation()
        restore(selected, {"agent": agent})
    return {**metrics, **{f"last_{name}": of_last[name] for name in _OF_THE_LAST}}

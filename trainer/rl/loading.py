"""The trained agent of a run's selected checkpoint, without replay and optimizer."""

from typing import NamedTuple

from trainer.config.rl import ReinforcementLearning
from trainer.engine import runner
from trainer.engine.checkpoints import restore
from trainer.engine.distribution import Runtime
from trainer.rl.agents import base
from trainer.rl.agents.base import Agent
from trainer.rl.envs import registry
from trainer.rl.evaluate import Evaluator
from trainer.rl.settings import check, compiles_agents


class Trained(NamedTuple):
    """A trained agent.

    Attributes:
      experiment: the configuration, with one seed.
      step: environment steps that its weights were trained for.
      agent: with the checkpoint's weights.
      evaluator: plays greedy episodes with it.
    """

    experiment: ReinforcementLearning
    step: int
    agent: Agent
    evaluator: Evaluator


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
    return Trained(experiment, found.step, agent, evaluator)

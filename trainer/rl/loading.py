"""An agent as a run left it: its chosen checkpoint, without the replay and the optimizer."""

from typing import NamedTuple

from trainer.compat.keras import tf
from trainer.config.rl import ReinforcementLearning
from trainer.engine import runner
from trainer.engine.checkpoints import restore
from trainer.engine.distribution import Runtime
from trainer.rl.agents.dqn import QAgent, compiles
from trainer.rl.envs import registry
from trainer.rl.evaluate import Evaluator
from trainer.rl.task import check


class Trained(NamedTuple):
    """An agent with what is needed to play.

    Attributes:
      experiment: of one seed.
      step: environment steps of training behind the weights.
      agent: with the checkpoint's weights.
      evaluator: plays greedy episodes with it.
    """

    experiment: ReinforcementLearning
    step: int
    agent: QAgent
    evaluator: Evaluator


def load(experiment: ReinforcementLearning, path: str, runtime: Runtime) -> Trained:
    """The agent of a run's best or last checkpoint, as `evaluate.checkpoint` says.

    Raises:
      UserError: if there is no whole checkpoint, or the environment cannot be made.
    """
    found = runner.checkpoint_of(path, experiment.evaluate.checkpoint)
    check(experiment, runtime)
    environment = registry.make(experiment.environment)
    with runtime.strategy.scope():
        agent = QAgent(
            experiment,
            environment.observation_shape,
            environment.observation_dtype,
            environment.num_actions,
            total_updates=1,  # of a schedule that nothing follows any more
        )
    restore(found, tf.train.Checkpoint(agent=agent))
    evaluator = Evaluator(experiment, agent, compiles(experiment, runtime))
    return Trained(experiment, found.step, agent, evaluator)

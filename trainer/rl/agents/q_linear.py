"""`q_linear`: the founding document's Q-learning with a linear Q function.

Q(s, a) ← (1 − α) Q(s, a) + α (r + γ max_a' Q(s', a')): a gradient step of size α on half the
squared temporal difference error, with the current network as its own target.
"""

from trainer.config.agents import DQN, QLinear
from trainer.config.optimizers import SGD, Optimizer
from trainer.config.rl import ReinforcementLearning
from trainer.errors import UserError
from trainer.rl.agents.dqn import DQNAgent
from trainer.rl.specs import EnvironmentSpec


def build(config: ReinforcementLearning, spec: EnvironmentSpec) -> DQNAgent:
    """DQN with one step, a squared loss, and a target network copied after each update.

    Raises:
      UserError: if the model is not linear.
    """
    section = config.agent
    assert isinstance(section, QLinear)
    if config.model.kind != "linear":
        raise UserError(
            "agent.kind 'q_linear' needs model.kind 'linear'; use agent.kind 'dqn' for "
            f"{config.model.kind!r}"
        )
    settings = DQN(
        discount=section.discount,
        loss="squared",
        target_update_period=1,
        exploration=section.exploration,
        replay=section.replay,
    )
    return DQNAgent(config, spec, settings)


def optimizer_section(config: ReinforcementLearning) -> Optimizer:
    """Gradient descent with the learning rate alpha."""
    assert isinstance(config.agent, QLinear)
    return SGD(learning_rate=config.agent.alpha)

"""The founding document's Q-learning on CartPole-v1: a linear Q, alpha 0.1, gamma 0.9, greedy.

    trainer train --config=configs/cartpole_q_linear.py --workdir=runs/q_linear

50,000 environment steps, 12 to 27 seconds of training on two busy CPU cores. Mean returns over
100 episodes, seeds 0 to 4: 36, 9, 9, 9 and 9; random actions reach 22. With greedy actions from
the first step, a linear Q of raw observations converges to a single action, so that the rule as
written does not reach the document's 274. With alpha 0.01, discount 0.99 and 10% random actions
the returns are 40, 43, 36, 38 and 36.
"""

from trainer.config import (
    Environment,
    Linear,
    QLinear,
    ReinforcementLearning,
    TrainRL,
    UniformReplay,
)


def get_config() -> ReinforcementLearning:
    """Returns the experiment: one update per step, on that transition alone."""
    return ReinforcementLearning(
        environment=Environment(name="CartPole-v1"),
        model=Linear(),
        agent=QLinear(alpha=0.1, discount=0.9, replay=UniformReplay(capacity=1, min_size=1)),
        train=TrainRL(
            steps=50_000, num_envs=1, collect_steps=1, gradient_steps=1, global_batch_size=1
        ),
    )

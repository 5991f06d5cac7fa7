"""The founding document's Q-learning on CartPole-v1: a linear Q, alpha 0.1, gamma 0.9, greedy.

    trainer train --config=configs/cartpole_q_linear.py --workdir=runs/q_linear

50,000 environment steps, 12 to 27 seconds of training on two busy CPU cores. Over seeds 0 to 4,
100 episodes each, mean returns: 36, 9, 9, 9 and 9, where random actions get 22. Greedy from the
first step, a linear Q of raw observations settles on one action; the document's 274 is not
reached by its rule as written. With alpha 0.01, discount 0.99 and one random action in ten: 40,
43, 36, 38 and 36.
"""

from trainer.config.rl import Environment, QLinear, ReinforcementLearning, TrainRL, Uniform
from trainer.config.sections import Linear


def get_config() -> ReinforcementLearning:
    """One update a step, on that very step: a replay of one transition."""
    return ReinforcementLearning(
        environment=Environment(name="CartPole-v1"),
        model=Linear(),
        agent=QLinear(alpha=0.1, discount=0.9),
        replay=Uniform(capacity=1, warmup=1),
        train=TrainRL(
            steps=50_000, environments=1, collect_steps=1, updates=1, global_batch_size=1
        ),
    )

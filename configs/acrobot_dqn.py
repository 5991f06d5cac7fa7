"""Double DQN on Acrobot-v1, three-step returns.

    trainer train --config=configs/acrobot_dqn.py --workdir=runs/acrobot

90,000 environment steps, the best of ten checkpoints by 100 episodes each; 92 to 130 seconds of
training on two very busy CPU cores. Over seeds 0 to 4, 100 other episodes each, mean returns:
-82.2, -80.0, -79.6, -78.5 and -79.6.
"""

from trainer.config.rl import (
    DoubleDQN,
    Environment,
    EvaluateRL,
    ReinforcementLearning,
    TrainRL,
    Uniform,
)
from trainer.config.sections import MLP, Adam


def get_config() -> ReinforcementLearning:
    """The experiment."""
    return ReinforcementLearning(
        environment=Environment(name="Acrobot-v1"),
        model=MLP(units=(256, 256)),
        agent=DoubleDQN(
            n_step=3, epsilon_final=0.02, epsilon_decay_steps=15_000, target_update_period=200
        ),
        replay=Uniform(capacity=50_000, warmup=2_000),
        optimizer=Adam(learning_rate=5e-4, schedule="linear", clip_norm=10.0),
        train=TrainRL(
            steps=90_000, environments=8, collect_steps=4, updates=16, global_batch_size=128
        ),
        evaluate=EvaluateRL(interim_episodes=100),
    )

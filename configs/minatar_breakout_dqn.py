"""DQN on miniature Breakout, with the network and settings of Young and Tian (2019).

    trainer train --config=configs/minatar_breakout_dqn.py --workdir=runs/minatar_breakout

5,000,000 environment steps, one update per step. Not yet trained here: there is no result of ours.
About three hours on two busy CPU cores, estimated. The paper's DQN reaches a mean return of about
10 after 5,000,000 frames (arXiv:1903.03176); its game may differ from ours where the published
rules leave a detail open.
"""

from trainer.config import (
    CNN,
    DQN,
    Environment,
    EpsilonGreedy,
    ReinforcementLearning,
    RMSprop,
    TrainRL,
    UniformReplay,
)


def get_config() -> ReinforcementLearning:
    """Returns the experiment."""
    return ReinforcementLearning(
        environment=Environment(name="MinAtar/Breakout-v1"),
        model=CNN(filters=(16,), padding="valid", pool=1, units=(128,)),
        agent=DQN(
            target_update_period=1_000,
            exploration=EpsilonGreedy(epsilon_final=0.1, epsilon_decay_steps=100_000),
            replay=UniformReplay(capacity=100_000, min_size=5_000),
        ),
        # The paper's RMSprop also subtracts the squared mean of the gradient.
        optimizer=RMSprop(learning_rate=2.5e-4, rho=0.95, epsilon=0.01),
        train=TrainRL(
            steps=5_000_000, num_envs=8, collect_steps=1, gradient_steps=8, global_batch_size=32
        ),
    )

"""Rainbow on MinAtar's Breakout (Young and Tian, 2019), with the network of its authors.

    trainer train --config=configs/minatar_breakout_rainbow.py --workdir=runs/breakout_rainbow

Double, dueling, quantile, three-step, noisy and prioritized. 2 million environment steps; the best
of ten checkpoints, evaluated on 20 episodes each. Not yet trained to the end: figures are missing,
the duration is expected to be several hours on two CPU cores.
"""

from trainer.config import (
    CNN,
    DQN,
    Adam,
    Environment,
    EpsilonGreedy,
    PrioritizedReplay,
    ReinforcementLearning,
    TrainRL,
)


def get_config() -> ReinforcementLearning:
    """Returns the experiment."""
    return ReinforcementLearning(
        environment=Environment(name="MinAtar/Breakout-v1"),
        model=CNN(filters=(16,), kernel_size=(3,), pool=1, units=(128,)),
        agent=DQN(
            double=True,
            dueling=True,
            distribution="quantile",
            num_quantiles=50,
            n_step=3,
            noisy=True,
            target_update_period=1_000,
            exploration=EpsilonGreedy(epsilon_initial=0.0, epsilon_final=0.0),
            replay=PrioritizedReplay(capacity=100_000, min_size=5_000),
        ),
        optimizer=Adam(learning_rate=2.5e-4, clip_norm=10.0),
        train=TrainRL(
            steps=2_000_000, num_envs=8, collect_steps=1, gradient_steps=2, global_batch_size=32
        ),
    )

"""DQN on MountainCar-v0; random actions are repeated for 20 steps on average to reach the goal.

    trainer train --config=configs/mountain_car_dqn.py --workdir=runs/mountain_car

60,000 environment steps; the best of ten checkpoints, evaluated on 20 episodes each. At least 46
seconds of training on two busy CPU cores. Mean returns over 100 other episodes, seeds 0 to 4:
-98.1, -99.0, -100.4, -99.3 and -98.5. Without repetition (epsilon_duration 1), four of five seeds
never reach the goal.
"""

from trainer.config import (
    DQN,
    MLP,
    Adam,
    Environment,
    EpsilonGreedy,
    ReinforcementLearning,
    TrainRL,
    UniformReplay,
)


def get_config() -> ReinforcementLearning:
    """Returns the experiment."""
    return ReinforcementLearning(
        environment=Environment(name="MountainCar-v0"),
        model=MLP(units=(256, 256)),
        agent=DQN(
            discount=0.98,
            n_step=3,
            target_update_period=300,
            exploration=EpsilonGreedy(
                epsilon_final=0.07, epsilon_decay_steps=20_000, epsilon_duration=20.0
            ),
            replay=UniformReplay(capacity=10_000, min_size=1_000),
        ),
        optimizer=Adam(learning_rate=4e-3, clip_norm=10.0),
        train=TrainRL(
            steps=60_000, num_envs=8, collect_steps=2, gradient_steps=8, global_batch_size=128
        ),
    )

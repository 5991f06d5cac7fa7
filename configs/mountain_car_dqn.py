"""DQN on MountainCar-v0, whose goal is found by holding random actions for 20 steps on average.

    trainer train --config=configs/mountain_car_dqn.py --workdir=runs/mountain_car

60,000 environment steps, the best of ten checkpoints by 20 episodes each; from 46 seconds of
training on two busy CPU cores. Over seeds 0 to 4, 100 other episodes each, mean returns: -98.1,
-99.0, -100.4, -99.3 and -98.5. Drawing random actions anew at every step (epsilon_duration 1),
four of five seeds never arrive.
"""

from trainer.config.rl import DQN, Environment, ReinforcementLearning, TrainRL, Uniform
from trainer.config.sections import MLP, Adam


def get_config() -> ReinforcementLearning:
    """The experiment."""
    return ReinforcementLearning(
        environment=Environment(name="MountainCar-v0"),
        model=MLP(units=(256, 256)),
        agent=DQN(
            discount=0.98,
            n_step=3,
            epsilon_final=0.07,
            epsilon_decay_steps=20_000,
            epsilon_duration=20.0,
            target_update_period=300,
        ),
        replay=Uniform(capacity=10_000, warmup=1_000),
        optimizer=Adam(learning_rate=4e-3, clip_norm=10.0),
        train=TrainRL(
            steps=60_000, environments=8, collect_steps=2, updates=8, global_batch_size=128
        ),
    )

"""DQN on any Gymnasium environment: here Gymnasium's own CartPole-v1, stepped in Python.

    trainer train --config=configs/gymnasium_dqn.py --workdir=runs/gymnasium

With `--config.environment.name=Acrobot-v1`, `my_module:MyEnvironment`, or any id with discrete
actions it is another environment's; pixels take `--config.model.kind=cnn`.

50,000 environment steps, the best of ten checkpoints by 20 episodes each; 33 to 75 seconds of
training on two busy CPU cores. Over seeds 0 to 4, 100 other episodes each, mean returns: 500.0,
500.0, 500.0, 500.0 and 499.7.
"""

from trainer.config.rl import DQN, Environment, ReinforcementLearning, TrainRL, Uniform
from trainer.config.sections import MLP, Adam


def get_config() -> ReinforcementLearning:
    """The experiment."""
    return ReinforcementLearning(
        environment=Environment(name="CartPole-v1", backend="gymnasium"),
        model=MLP(units=(256, 256)),
        agent=DQN(
            n_step=5, epsilon_final=0.04, epsilon_decay_steps=8_000, target_update_period=100
        ),
        replay=Uniform(capacity=100_000, warmup=1_000),
        optimizer=Adam(learning_rate=1e-3, schedule="linear", clip_norm=10.0),
        train=TrainRL(
            steps=50_000, environments=8, collect_steps=4, updates=16, global_batch_size=64
        ),
    )

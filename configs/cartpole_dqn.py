"""DQN on CartPole-v1."""

from trainer.config.common import MLP, Adam
from trainer.config.rl import DQN, Environment, ReinforcementLearning, TrainRL, Uniform


def get_config() -> ReinforcementLearning:
    """The experiment."""
    return ReinforcementLearning(
        environment=Environment(name="CartPole-v1"),
        model=MLP(units=(256, 256)),
        agent=DQN(epsilon_final=0.04, epsilon_decay_steps=8_000, target_update_period=100),
        replay=Uniform(capacity=100_000, warmup=1_000),
        optimizer=Adam(learning_rate=1e-3, schedule="linear", clip_norm=10.0),
        train=TrainRL(steps=100_000, environments=8, updates=4, global_batch_size=64),
    )

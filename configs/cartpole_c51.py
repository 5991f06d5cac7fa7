"""C51 on CartPole-v1: the distribution of five-step returns on 51 points from 0 to 100.

    trainer train --config=configs/cartpole_c51.py --workdir=runs/cartpole_c51

50,000 environment steps, the best of ten checkpoints by 20 episodes each; 18 to 68 seconds of
training on two busy CPU cores. Over seeds 0 to 4, 100 other episodes each: interquartile means 500
each, means 500 four times and 471.
"""

from trainer.config.rl import C51, Environment, ReinforcementLearning, TrainRL, Uniform
from trainer.config.sections import MLP, Adam


def get_config() -> ReinforcementLearning:
    """The experiment; with discount 0.99 no return is above 100."""
    return ReinforcementLearning(
        environment=Environment(name="CartPole-v1"),
        model=MLP(units=(128, 128)),
        agent=C51(
            n_step=5,
            v_min=0.0,
            v_max=100.0,
            epsilon_final=0.04,
            epsilon_decay_steps=8_000,
            target_update_period=100,
        ),
        replay=Uniform(capacity=100_000, warmup=1_000),
        optimizer=Adam(learning_rate=1e-3, schedule="linear", clip_norm=10.0),
        train=TrainRL(
            steps=50_000, environments=8, collect_steps=4, updates=16, global_batch_size=64
        ),
    )

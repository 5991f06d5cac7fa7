"""C51 on CartPole-v1: the distribution of five-step returns on 51 points from 0 to 100.

    trainer train --config=configs/cartpole_c51.py --workdir=runs/cartpole_c51

50,000 environment steps; the best of ten checkpoints, evaluated on 20 episodes each. 18 to 68
seconds of training on two busy CPU cores. Returns over 100 other episodes, seeds 0 to 4: the
interquartile mean is 500 for each seed, the mean is 500 for four seeds and 471 for one.
"""

from trainer.config import (
    DQN,
    MLP,
    Adam,
    Environment,
    EpsilonGreedy,
    LinearSchedule,
    ReinforcementLearning,
    TrainRL,
    UniformReplay,
)


def get_config() -> ReinforcementLearning:
    """Returns the experiment; with a discount of 0.99 no return exceeds 100."""
    return ReinforcementLearning(
        environment=Environment(name="CartPole-v1"),
        model=MLP(units=(128, 128)),
        agent=DQN(
            distribution="categorical",
            n_step=5,
            num_atoms=51,
            v_min=0.0,
            v_max=100.0,
            target_update_period=100,
            exploration=EpsilonGreedy(epsilon_final=0.04, epsilon_decay_steps=8_000),
            replay=UniformReplay(capacity=100_000, min_size=1_000),
        ),
        optimizer=Adam(learning_rate=1e-3, schedule=LinearSchedule(), clip_norm=10.0),
        train=TrainRL(
            steps=50_000, num_envs=8, collect_steps=4, gradient_steps=16, global_batch_size=64
        ),
    )

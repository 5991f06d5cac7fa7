"""Rainbow on CartPole-v1: all extensions of DQN together, exploring by noisy layers alone.

    trainer train --config=configs/cartpole_rainbow.py --workdir=runs/cartpole_rainbow

Double, dueling, categorical, three-step, noisy and prioritized (Hessel et al., 2018). 50,000
environment steps; the best of ten checkpoints, evaluated on 20 episodes each. Not yet trained to
the end: figures are missing, the duration is estimated at one to four minutes on two CPU cores.
"""

from trainer.config import (
    DQN,
    MLP,
    Adam,
    Environment,
    EpsilonGreedy,
    LinearSchedule,
    PrioritizedReplay,
    ReinforcementLearning,
    TrainRL,
)


def get_config() -> ReinforcementLearning:
    """Returns the experiment; with a discount of 0.99 no return exceeds 100."""
    return ReinforcementLearning(
        environment=Environment(name="CartPole-v1"),
        model=MLP(units=(128, 128)),
        agent=DQN(
            double=True,
            dueling=True,
            distribution="categorical",
            v_min=0.0,
            v_max=100.0,
            n_step=3,
            noisy=True,
            target_update_period=100,
            exploration=EpsilonGreedy(epsilon_initial=0.0, epsilon_final=0.0),
            replay=PrioritizedReplay(capacity=100_000, min_size=1_000),
        ),
        optimizer=Adam(learning_rate=1e-3, schedule=LinearSchedule(), clip_norm=10.0),
        train=TrainRL(
            steps=50_000, num_envs=8, collect_steps=4, gradient_steps=16, global_batch_size=64
        ),
    )

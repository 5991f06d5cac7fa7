"""Double DQN with a CNN on the pixels of Catch-v0: five balls, so the maximum return is 5.

    trainer train --config=configs/catch_dqn.py --workdir=runs/catch

40,000 environment steps; the best of ten checkpoints, evaluated on 50 episodes each. At least 45
seconds of training on two busy CPU cores. Mean returns over 100 other episodes, seeds 0 to 4:
5.00, 4.88, 4.92, 5.00 and 4.66.
"""

from trainer.config import (
    CNN,
    DQN,
    Adam,
    Environment,
    EpsilonGreedy,
    EvaluateRL,
    LinearSchedule,
    ReinforcementLearning,
    TrainRL,
    UniformReplay,
)


def get_config() -> ReinforcementLearning:
    """Returns the experiment."""
    return ReinforcementLearning(
        environment=Environment(name="Catch-v0"),
        model=CNN(filters=(16, 32), strides=(2,), pool=1, units=(128,)),
        agent=DQN(
            double=True,
            discount=0.97,
            n_step=3,
            target_update_period=200,
            exploration=EpsilonGreedy(epsilon_final=0.02, epsilon_decay_steps=10_000),
            replay=UniformReplay(capacity=50_000, min_size=1_000),
        ),
        optimizer=Adam(learning_rate=5e-4, schedule=LinearSchedule(), clip_norm=10.0),
        train=TrainRL(
            steps=40_000, num_envs=8, collect_steps=1, gradient_steps=2, global_batch_size=32
        ),
        evaluate=EvaluateRL(interim_episodes=50),
    )

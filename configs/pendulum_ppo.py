"""PPO with continuous actions on Pendulum-v1.

    trainer train --config=configs/pendulum_ppo.py --workdir=runs/pendulum_ppo

300,000 environment steps; the best of ten checkpoints, evaluated on 20 episodes each. About 20
seconds of training on two CPU cores. Returns over 100 other episodes, seeds 0 to 4: the mean is
between -187.1 and -172.2, the interquartile mean between -172.6 and -156.6.
"""

from trainer.config import (
    MLP,
    PPO,
    Adam,
    Environment,
    EvaluateRL,
    LinearSchedule,
    ReinforcementLearning,
    TrainRL,
)


def get_config() -> ReinforcementLearning:
    """Returns the experiment."""
    return ReinforcementLearning(
        environment=Environment(name="Pendulum-v1"),
        model=MLP(units=(64, 64), activation="tanh"),
        agent=PPO(discount=0.9, normalize_rewards=True),
        optimizer=Adam(learning_rate=1e-3, schedule=LinearSchedule(), clip_norm=0.5),
        train=TrainRL(steps=300_000, num_envs=16, collect_steps=200, global_batch_size=160),
        evaluate=EvaluateRL(reference="-172.2 (rl-baselines3-zoo, one run)"),
    )

"""PPO on Acrobot-v1.

    trainer train --config=configs/acrobot_ppo.py --workdir=runs/acrobot_ppo

500,000 environment steps; the best of ten checkpoints, evaluated on 20 episodes each. About 20
seconds of training on two CPU cores. Returns over 100 other episodes, seeds 0 to 4: the mean is
between -84.5 and -74.0, the interquartile mean between -80.7 and -72.2.
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
        environment=Environment(name="Acrobot-v1"),
        model=MLP(units=(64, 64), activation="tanh"),
        agent=PPO(gae_lambda=0.94, epochs=4, normalize_observations=True, normalize_rewards=True),
        optimizer=Adam(learning_rate=1e-3, schedule=LinearSchedule(), clip_norm=0.5),
        train=TrainRL(steps=500_000, num_envs=16, collect_steps=256, global_batch_size=256),
        evaluate=EvaluateRL(reference="-73.5 (rl-baselines3-zoo, one run)"),
    )

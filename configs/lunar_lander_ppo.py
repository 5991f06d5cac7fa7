"""PPO on Gymnasium's LunarLander-v3.

    trainer train --config=configs/lunar_lander_ppo.py --workdir=runs/lunar_lander_ppo

600,000 environment steps; the best of ten checkpoints, evaluated on 20 episodes each. 3 to 7
minutes of training on two busy CPU cores. Seed 0: the mean return over 100 other episodes is
267.5, the interquartile mean 268.7. Seed 1: 260.5 in the last evaluation. Other seeds were not
trained to the end.
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
        environment=Environment(name="LunarLander-v3"),
        model=MLP(units=(64, 64), activation="tanh"),
        agent=PPO(
            discount=0.999,
            gae_lambda=0.98,
            epochs=4,
            entropy_weight=0.01,
            normalize_observations=True,
            normalize_rewards=True,
        ),
        optimizer=Adam(learning_rate=1e-3, schedule=LinearSchedule(), clip_norm=0.5),
        train=TrainRL(steps=600_000, num_envs=16, collect_steps=512, global_batch_size=256),
        evaluate=EvaluateRL(reference="242.1 for LunarLander-v2 (rl-baselines3-zoo, one run)"),
    )

"""PPO on CartPole-v1.

    trainer train --config=configs/cartpole_ppo.py --workdir=runs/cartpole_ppo

100,000 environment steps; the best of ten checkpoints, evaluated on 20 episodes each. 17 seconds
of compilation and 17 seconds of training on two idle CPU cores. Returns over 100 other episodes,
seeds 0 to 4: 500 for each seed.
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
        environment=Environment(name="CartPole-v1"),
        model=MLP(units=(64, 64), activation="tanh"),
        agent=PPO(discount=0.98, gae_lambda=0.8, epochs=20),
        optimizer=Adam(learning_rate=1e-3, schedule=LinearSchedule(), clip_norm=0.5),
        train=TrainRL(steps=100_000, num_envs=8, collect_steps=32, global_batch_size=256),
        evaluate=EvaluateRL(reference="500 (rl-baselines3-zoo, one run)"),
    )

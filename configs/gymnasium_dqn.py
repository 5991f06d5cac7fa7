"""DQN on any Gymnasium environment; here Gymnasium's own CartPole-v1, which runs in Python.

    trainer train --config=configs/gymnasium_dqn.py --workdir=runs/gymnasium

To train on another environment, set `--config.environment.name` to any id with discrete actions
(Acrobot-v1) or to a class of your own (`my_module:MyEnvironment`). Image observations need
`--config.model.kind=cnn`.

50,000 environment steps; the best of ten checkpoints, evaluated on 20 episodes each. 33 to 75
seconds of training on two busy CPU cores. Mean returns over 100 other episodes, seeds 0 to 4:
500.0, 500.0, 500.0, 500.0 and 499.7.
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
    """Returns the experiment."""
    return ReinforcementLearning(
        environment=Environment(name="CartPole-v1", backend="gymnasium"),
        model=MLP(units=(256, 256)),
        agent=DQN(
            n_step=5,
            target_update_period=100,
            exploration=EpsilonGreedy(epsilon_final=0.04, epsilon_decay_steps=8_000),
            replay=UniformReplay(capacity=100_000, min_size=1_000),
        ),
        optimizer=Adam(learning_rate=1e-3, schedule=LinearSchedule(), clip_norm=10.0),
        train=TrainRL(
            steps=50_000, num_envs=8, collect_steps=4, gradient_steps=16, global_batch_size=64
        ),
    )

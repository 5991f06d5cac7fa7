"""DQN that decides each day between a stock and cash: an environment of your own.

    pip install --no-deps gym-anytrading
    trainer train --config=configs/stock_trading_dqn.py --workdir=runs/stock_trading

Run it in the folder that contains `configs`. The environment and its prices are described in
`configs/environments/stock_trading.py`: training until 2014, the best checkpoint by the return of
2015 and 2016, the test on 2017 and 2018. Four minutes on two CPU cores for five seeds.

Returns of the test in percent of log wealth, seeds 0 to 4: 8.4, -20.1, 0.8, 13.1, 12.6; buying and
holding: 46.6. The agent learns no advantage from the last 20 returns, and trading costs money. This
is the expected result: an honest test by time, and several seeds, show it.
"""

from trainer.config import (
    DQN,
    MLP,
    Adam,
    Environment,
    EpsilonGreedy,
    EvaluateRL,
    ReinforcementLearning,
    TrainRL,
    UniformReplay,
)

_MODULE = "configs.environments.stock_trading"


def get_config() -> ReinforcementLearning:
    """Returns the experiment."""
    return ReinforcementLearning(
        seeds=5,
        environment=Environment(
            name=f"{_MODULE}:Training",
            validation_name=f"{_MODULE}:Validation",
            test_name=f"{_MODULE}:Test",
        ),
        model=MLP(units=(32, 32)),
        agent=DQN(
            discount=0.9,
            n_step=3,
            target_update_period=200,
            exploration=EpsilonGreedy(epsilon_final=0.05, epsilon_decay_steps=20_000),
            replay=UniformReplay(capacity=50_000, min_size=1_000),
        ),
        optimizer=Adam(learning_rate=3e-4, clip_norm=10.0),
        train=TrainRL(
            steps=50_000, num_envs=8, collect_steps=4, gradient_steps=8, global_batch_size=64
        ),
        # The periods have no randomness: all episodes of a greedy policy are equal.
        evaluate=EvaluateRL(episodes=2, interim_episodes=2),
    )

"""Hyperparameters of DQN on CartPole, with Hyperband: most trials run a ninth of the full length.

trainer tune --config=configs/cartpole_dqn.py --search=configs/tune/cartpole.py --workdir=DIR
"""

from trainer.tune.space import Choice, Hyperband, Integers, LogUniform, Objective, Search


def get_search() -> Search:
    """Returns the search."""
    return Search(
        objective=Objective("eval/return_mean", "max"),
        space=(
            LogUniform("optimizer.learning_rate", 1e-4, 1e-2),
            Integers("agent.n_step", 1, 10),
            Choice("agent.target_update_period", (50, 100, 200, 400)),
        ),
        oracle=Hyperband(shortest=50_000 / 9),
    )

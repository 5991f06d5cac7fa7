"""Hyperparameters of the CNN on digits: twenty trials of Bayesian optimization.

    trainer tune --config=configs/digits_cnn.py --search=configs/tune/digits.py --workdir=DIR

Each trial trains for the full length of the configuration.
"""

from trainer.tune.space import Bayesian, Choice, LogUniform, Objective, Search, Uniform


def get_search() -> Search:
    """Returns the search."""
    return Search(
        objective=Objective("eval/loss", "min"),
        space=(
            LogUniform("optimizer.learning_rate", 3e-4, 3e-2),
            Choice("train.global_batch_size", (32, 64, 128)),
            Uniform("train.label_smoothing", 0.0, 0.2),
            Uniform("model.dropout", 0.0, 0.6),
        ),
        oracle=Bayesian(initial=8),
    )

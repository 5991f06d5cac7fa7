"""MLP that predicts the progression of diabetes in a year: 442 patients, ten measurements each.

`configs/tables/diabetes.py` writes the table, which is scikit-learn's (Efron et al., 2004, "Least
angle regression"):

    python configs/tables/diabetes.py diabetes.csv
    trainer train --config=configs/diabetes_regression.py --workdir=runs/diabetes

There are too few patients to select a checkpoint on some of them: the last one is used, and all
that are not held out for the test train. Half a minute on two CPU cores for five seeds.

R² of the test split, seeds 0 to 4: 0.432, 95 % interval [0.416, 0.449]; scikit-learn's RidgeCV on
the same split: 0.427.
"""

from trainer.config import CSV, MLP, AdamW, CosineSchedule, Evaluate, Supervised, Train


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        seeds=5,
        data=CSV(path="diabetes.csv", label="target", target="regression", validation_fraction=0.0),
        model=MLP(units=(32,), dropout=0.2),
        optimizer=AdamW(learning_rate=3e-3, weight_decay=1e-2, schedule=CosineSchedule()),
        train=Train(epochs=40, global_batch_size=32),
        evaluate=Evaluate(metrics=("mae", "rmse", "r2"), checkpoint="last"),
    )

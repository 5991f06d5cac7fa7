"""MLP that predicts the progression of diabetes in a year: 442 patients, ten measurements each.

The table is scikit-learn's (Efron et al., 2004, "Least angle regression"):

    python -c "from sklearn.datasets import load_diabetes; \\
        load_diabetes(as_frame=True, scaled=False).frame.to_csv('diabetes.csv', index=False)"
    trainer train --config=configs/diabetes_regression.py --workdir=runs/diabetes

Five seeds. A minute on two CPU cores.
"""

from trainer.config import CSV, MLP, AdamW, CosineSchedule, Evaluate, Supervised, Train


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        seeds=5,
        data=CSV(path="diabetes.csv", label="target", target="regression"),
        model=MLP(units=(32,), dropout=0.2),
        optimizer=AdamW(learning_rate=3e-3, weight_decay=1e-2, schedule=CosineSchedule()),
        train=Train(epochs=40, global_batch_size=32),
        evaluate=Evaluate(metrics=("mae", "rmse", "r2"), best_metric="r2"),
    )

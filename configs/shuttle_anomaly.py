"""MLP that detects anomalies in an imbalanced table: 49,097 rows of Shuttle, 7 % of them positive.

The table is in the package river (Statlog Shuttle, UCI, without one class):

    pip download --no-deps river && unzip -j river-*.whl '*/shuttle.csv.gz' -d data
    trainer train --config=configs/shuttle_anomaly.py --workdir=runs/shuttle

The checkpoint with the best `auc_pr` of the validation split is taken, and the threshold that has the
best F1 there; `predict` uses it. Two minutes on two CPU cores.
"""

from trainer.config import CSV, MLP, AdamW, CosineSchedule, Evaluate, Supervised, Train


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        data=CSV(path="data/shuttle.csv.gz", label="anomaly", positive_class="1", stratify=True),
        model=MLP(units=(64, 64)),
        optimizer=AdamW(learning_rate=3e-3, weight_decay=1e-4, schedule=CosineSchedule()),
        train=Train(epochs=30, global_batch_size=256),
        evaluate=Evaluate(
            metrics=("accuracy", "precision", "recall", "f1", "auc", "auc_pr"),
            best_metric="auc_pr",
            threshold="f1",
        ),
    )

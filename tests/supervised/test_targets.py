"""What metrics, users and the baseline see of each kind of target."""

import numpy as np
from sklearn import metrics as sklearn_metrics

from trainer.compat.keras import tf
from trainer.data.signature import Signature
from trainer.metrics import table
from trainer.supervised.targets import (
    baseline_outputs,
    describe,
    metric_sums,
    predictions,
    sum_shapes,
)

RANDOM = np.random.default_rng(0)
NAMES = ("a", "b", "c")
OFFSET, SCALE = (10.0, -5.0, 0.0), (0.5, 2.0, 1.0)


def signature(target, chosen=()):
    scaling = (OFFSET, SCALE) if target == "regression" else ((), ())
    return Signature("table", (1,), (1,), NAMES, (), (0.0,), (1.0,), (), target, *scaling, chosen)


def evaluate(names, made, outputs, targets, batch_size=32):
    """The metrics over batches, the last one padded with examples of weight 0."""
    metrics = table.find_all(names, made.target)
    totals = [np.zeros(shape) for shape in sum_shapes(metrics, made)]
    for first in range(0, len(targets), batch_size):
        part = slice(first, first + batch_size)
        padding = batch_size - len(targets[part])
        padded = [
            np.concatenate([each[part], np.full((padding, *each.shape[1:]), 1, each.dtype)])
            for each in (outputs.astype(np.float32), targets)
        ]
        weights = np.r_[np.ones(len(targets[part])), np.zeros(padding)].astype(np.float32)
        sums = metric_sums(metrics, made, *map(tf.constant, (*padded, weights)))
        totals = [total + added.numpy() for total, added in zip(totals, sums, strict=True)]
    return {m.name: m.finish(total) for m, total in zip(metrics, totals, strict=True)}


def test_regression_metrics_equal_those_of_scikit_learn_in_the_unit_of_the_target():
    made = signature("regression")
    targets = (RANDOM.normal(size=(100, 3)) / SCALE + OFFSET).astype(np.float32)
    outputs = (targets - OFFSET) * SCALE + RANDOM.normal(size=(100, 3)) * 0.5
    found = evaluate((), made, outputs, targets)
    values = outputs / SCALE + OFFSET
    np.testing.assert_allclose(
        found["mae"], sklearn_metrics.mean_absolute_error(targets, values), rtol=1e-5
    )
    np.testing.assert_allclose(
        found["rmse"], sklearn_metrics.root_mean_squared_error(targets, values), rtol=1e-5
    )
    np.testing.assert_allclose(found["r2"], sklearn_metrics.r2_score(targets, values), rtol=1e-5)
    standardized = (targets - OFFSET) * SCALE
    np.testing.assert_allclose(found["loss"], ((outputs - standardized) ** 2).mean(), rtol=1e-5)


def test_multi_label_metrics_equal_those_of_scikit_learn():
    made = signature("multi_label")
    targets = (RANDOM.uniform(size=(300, 3)) < [0.5, 0.2, 0.1]).astype(np.float32)
    outputs = RANDOM.normal(size=(300, 3)) + 2 * targets - 1
    names = (
        "accuracy",
        "exact_match",
        "precision",
        "recall",
        "f1",
        "f1_per_class",
        "auc",
        "auc_pr",
    )
    found = evaluate(names, made, outputs, targets)
    decided = (outputs >= 0).astype(int)
    of_labels = sklearn_metrics.precision_recall_fscore_support(targets, decided)
    macro = sklearn_metrics.precision_recall_fscore_support(targets, decided, average="macro")
    np.testing.assert_allclose(found["f1_per_class"], of_labels[2], rtol=1e-6)
    for name, expected in zip(("precision", "recall", "f1"), macro[:3], strict=True):
        np.testing.assert_allclose(found[name], expected, rtol=1e-6)
    np.testing.assert_allclose(found["accuracy"], (decided == targets).mean(), rtol=1e-6)
    np.testing.assert_allclose(
        found["exact_match"], sklearn_metrics.accuracy_score(targets, decided), rtol=1e-6
    )
    p = 1 / (1 + np.exp(-outputs))
    np.testing.assert_allclose(found["auc"], sklearn_metrics.roc_auc_score(targets, p), atol=1e-3)
    expected = sklearn_metrics.average_precision_score(targets, p)
    np.testing.assert_allclose(found["auc_pr"], expected, atol=3e-3)
    loss = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean()
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-5)


def test_labels_of_predictions_follow_the_thresholds():
    outputs = tf.constant([[0.0, 1.0, -1.0]])
    row = predictions(outputs, signature("multi_label")).numpy()[0]
    assert describe(row, signature("multi_label"))["labels"] == ["a", "b"]
    assert describe(row, signature("multi_label", (0.6, 0.7, 0.2)))["labels"] == ["b", "c"]


def test_predicted_values_are_in_their_unit():
    row = predictions(tf.constant([[1.0, 1.0, 1.0]]), signature("regression")).numpy()[0]
    assert describe(row, signature("regression")) == {"values": {"a": 12.0, "b": -4.5, "c": 1.0}}
    one = Signature(
        "table", (1,), (1,), ("y",), (), (0.0,), (1.0,), (), "regression", (3.0,), (2.0,)
    )
    row = predictions(tf.constant([[1.0]]), one).numpy()[0]
    assert describe(row, one) == {"value": 3.5}


def test_the_baseline_is_what_scikit_learn_predicts_without_features():
    labels = np.array([0] * 70 + [1] * 20 + [2] * 10, np.int32)
    made = signature("classification")
    outputs = np.tile(baseline_outputs(made, labels), (100, 1))
    found = evaluate(("accuracy",), made, outputs, labels)
    assert found["accuracy"] == 0.7
    p = np.array([0.7, 0.2, 0.1])
    np.testing.assert_allclose(found["loss"], -(p * np.log(p)).sum(), rtol=1e-5)
    values = RANDOM.normal(size=(50, 3)).astype(np.float32)
    made = signature("regression")
    found = evaluate((), made, np.tile(baseline_outputs(made, values), (50, 1)), values)
    np.testing.assert_allclose(found["mae"], np.abs(values - OFFSET).mean(), rtol=1e-5)
    present = (values > 1).astype(np.float32)
    made = signature("multi_label")
    found = evaluate((), made, np.tile(baseline_outputs(made, present), (50, 1)), present)
    np.testing.assert_allclose(found["accuracy"], (present == 0).mean(), rtol=1e-6)

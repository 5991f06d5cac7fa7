"""Decision thresholds against a search over all of them with scikit-learn's metrics."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from trainer.compat.keras import tf
from trainer.data.signature import Signature
from trainer.errors import UserError
from trainer.supervised import targets, thresholds

RANDOM = np.random.default_rng(0)
SIZE = 400
LABELS = (RANDOM.uniform(size=SIZE) < 0.1).astype(np.int32)
LOGITS = np.stack([np.zeros(SIZE), 1.5 * RANDOM.normal(size=SIZE) + 2.5 * LABELS - 3], axis=1)
P = 1 / (1 + np.exp(-LOGITS[:, 1]))
COSTS = (1.0, 7.0)
SCORES = {
    "accuracy": sklearn_metrics.accuracy_score,
    "balanced_accuracy": sklearn_metrics.balanced_accuracy_score,
    "f1": sklearn_metrics.f1_score,
    "cost": lambda y, d: -(COSTS[0] * (d & ~y & 1) + COSTS[1] * (y & ~d & 1)).sum(),
}


def signature(target="classification", classes=("ok", "fraud"), chosen=()):
    return Signature(
        "table", (1,), (1,), classes, (), (0.0,), (1.0,), target=target, thresholds=chosen
    )


def histograms(made, logits, labels):
    metric = thresholds.scores(made)
    sums = metric.update(
        tf.constant(logits, tf.float32), tf.constant(labels), tf.ones([len(labels)])
    )
    return sums.numpy().astype(np.float64)


@pytest.mark.parametrize("criterion", SCORES)
def test_no_other_threshold_is_better(criterion):
    (found,) = thresholds.choose(histograms(signature(), LOGITS, LABELS), criterion, COSTS)
    score = SCORES[criterion]
    best = max(score(LABELS, (t <= P).astype(int)) for t in np.arange(1, 10_000) / 10_000)
    np.testing.assert_allclose(score(LABELS, (found <= P).astype(int)), best)


def test_each_label_has_its_own_threshold():
    made = signature("multi_label", ("a", "b"))
    labels = np.stack([LABELS, 1 - LABELS], axis=1).astype(np.float32)
    logits = np.stack([LOGITS[:, 1], -LOGITS[:, 1]], axis=1)
    first, second = thresholds.choose(histograms(made, logits, labels), "f1", ())
    (alone,) = thresholds.choose(histograms(signature(), LOGITS, LABELS), "f1", ())
    assert first == alone != second


def test_of_equal_thresholds_the_one_nearest_to_one_half_is_chosen():
    counts = np.zeros((2, 1, 10))
    counts[0, 0, 1], counts[1, 0, 9] = 5, 5
    assert thresholds.choose(counts, "accuracy", ()) == (0.5,)


@pytest.mark.parametrize("threshold", [0.03, 0.5, 0.9])
def test_decisions_and_predictions_use_the_threshold(threshold):
    made = signature(chosen=(threshold,))
    decided = targets.decisions(tf.constant(LOGITS, tf.float32), made).numpy().argmax(axis=1)
    np.testing.assert_array_equal(decided, threshold <= P)
    described = [
        targets.describe(row, made)
        for row in targets.predictions(tf.constant(LOGITS, tf.float32), made).numpy()
    ]
    assert [each["class"] for each in described] == [("ok", "fraud")[d] for d in decided]
    np.testing.assert_allclose(
        [each["probability"] for each in described], np.where(decided, P, 1 - P), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("target", "classes"), [("classification", ("a", "b", "c")), ("regression", ("y",))]
)
def test_more_classes_and_values_have_no_threshold(target, classes):
    with pytest.raises(UserError, match=r"evaluate.threshold needs two classes"):
        thresholds.check("f1", signature(target, classes))
    thresholds.check("", signature(target, classes))

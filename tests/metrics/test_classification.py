"""Metrics against scikit-learn, in batches and with padding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from trainer.compat.keras import tf
from trainer.engine import distribution
from trainer.metrics.classification import METRICS

BY_NAME = {metric.name: metric for metric in METRICS}


def evaluate(name, logits, targets, batch_size=32):
    """The metric over batches, the last one padded with examples of weight 0."""
    metric, total = BY_NAME[name], 0.0
    for first in range(0, len(targets), batch_size):
        part, classes = logits[first : first + batch_size], targets[first : first + batch_size]
        padding = batch_size - len(part)
        weights = np.r_[np.ones(len(part)), np.zeros(padding)]
        part = np.r_[part, np.full((padding, logits.shape[1]), 9.0)]
        sums = metric.update(
            tf.constant(part, tf.float32),
            tf.constant(np.r_[classes, np.zeros(padding)], tf.int32),
            tf.constant(weights, tf.float32),
        )
        total = total + sums.numpy().astype(np.float64)
    return metric.finish(total)


def examples(classes, size=500, seed=0):
    random = np.random.default_rng(seed)
    targets = random.integers(0, classes, size)
    return random.normal(size=(size, classes)) + 1.2 * np.eye(classes)[targets], targets


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 5])
def test_values_equal_those_of_scikit_learn(classes):
    logits, targets = examples(classes)
    probabilities = softmax(logits)
    accuracy = sklearn_metrics.accuracy_score(targets, logits.argmax(axis=1))
    loss = sklearn_metrics.log_loss(targets, probabilities)
    score = probabilities[:, 1] if classes == 2 else probabilities
    auc = sklearn_metrics.roc_auc_score(targets, score, multi_class="ovr", average="macro")
    np.testing.assert_allclose(evaluate("accuracy", logits, targets), accuracy)
    np.testing.assert_allclose(evaluate("loss", logits, targets), loss, rtol=1e-5)
    # Probabilities are counted in 1000 bins.
    np.testing.assert_allclose(evaluate("auc", logits, targets), auc, atol=1e-3)
    precisions = [
        sklearn_metrics.average_precision_score(targets == c, probabilities[:, c])
        for c in range(classes)
    ]
    expected = precisions[1] if classes == 2 else np.mean(precisions)
    np.testing.assert_allclose(evaluate("auc_pr", logits, targets), expected, atol=2e-3)
    matrix = sklearn_metrics.confusion_matrix(targets, logits.argmax(axis=1))
    np.testing.assert_array_equal(evaluate("confusion_matrix", logits, targets), matrix)
    of_classes = sklearn_metrics.precision_recall_fscore_support(targets, logits.argmax(axis=1))
    for name, values in zip(("precision", "recall", "f1"), of_classes[:3], strict=True):
        np.testing.assert_allclose(evaluate(f"{name}_per_class", logits, targets), values)
        expected = values[1] if classes == 2 else values.mean()
        np.testing.assert_allclose(evaluate(name, logits, targets), expected)


def test_top_5():
    logits, targets = examples(12)
    expected = sklearn_metrics.top_k_accuracy_score(targets, logits, k=5)
    np.testing.assert_allclose(evaluate("top_5", logits, targets), expected)
    assert evaluate("top_5", np.full((4, 12), np.nan), np.arange(4)) == 0


def test_expected_calibration_error():
    logits, targets = examples(4, size=2000)
    probabilities = softmax(logits)
    confidence, is_correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        if inside.any():
            gap = is_correct[inside].mean() - confidence[inside].mean()
            expected += inside.mean() * abs(gap)
    assert expected > 0.01
    np.testing.assert_allclose(evaluate("calibration_error", logits, targets), expected, atol=1e-5)
    # Certain and right: perfectly calibrated.
    certain = 50.0 * np.eye(4)[targets]
    np.testing.assert_allclose(evaluate("calibration_error", certain, targets), 0, atol=1e-6)


def test_classes_without_examples_are_left_out_of_the_means():
    logits = 5.0 * np.eye(3)[[0, 0, 2, 1]]
    targets = np.array([0, 0, 0, 1])
    np.testing.assert_allclose(evaluate("recall_per_class", logits, targets), [2 / 3, 1, 0])
    np.testing.assert_allclose(evaluate("recall", logits, targets), (2 / 3 + 1) / 2)
    np.testing.assert_allclose(evaluate("precision", logits, targets), 1)
    np.testing.assert_allclose(evaluate("f1_per_class", logits, targets), [0.8, 1, 0])


@given(st.integers(2, 4), st.integers(1, 40), st.integers(0, 99), st.integers(1, 40))
@settings(deadline=None, max_examples=25)
def test_metrics_do_not_depend_on_the_batch_size(classes, size, seed, batch_size):
    logits, targets = examples(classes, size, seed)
    for name in BY_NAME:
        whole = evaluate(name, logits, targets, batch_size=size)
        np.testing.assert_allclose(evaluate(name, logits, targets, batch_size), whole, rtol=1e-5)


def test_auc_of_perfect_random_and_reversed_scores():
    targets = np.array([0, 1] * 50)
    perfect = np.stack([-(targets * 2.0 - 1), targets * 2.0 - 1], axis=1)
    assert evaluate("auc", perfect, targets) == 1.0
    assert evaluate("auc", -perfect, targets) == 0.0
    assert evaluate("auc", np.zeros_like(perfect), targets) == 0.5


def test_auc_leaves_out_classes_without_examples():
    logits, targets = examples(3)
    keep = targets != 2
    probabilities = softmax(logits)[keep]
    expected = np.mean(
        [sklearn_metrics.roc_auc_score(targets[keep] == c, probabilities[:, c]) for c in (0, 1)]
    )
    np.testing.assert_allclose(evaluate("auc", logits[keep], targets[keep]), expected, atol=1e-3)
    assert evaluate("auc", logits[:1], targets[:1]) == 0.5


@pytest.mark.parametrize("jit", [False, True] if distribution.xla_compiles_for_cpus() else [False])
def test_updates_compile(jit):
    logits, targets = examples(3, 8)
    arguments = tf.constant(logits, tf.float32), tf.constant(targets, tf.int32), tf.ones([8])
    for metric in METRICS:
        found = tf.function(metric.update, jit_compile=jit)(*arguments)
        np.testing.assert_allclose(found, metric.update(*arguments), rtol=1e-6)

"""Intervals against resamples in NumPy, of examples that are really repeated."""

import numpy as np
import pytest

from trainer.data.signature import Signature
from trainer.metrics import table
from trainer.supervised import intervals
from trainer.supervised.intervals import RESAMPLES, bootstrap

RANDOM = np.random.default_rng(1)


def signature(target, outputs, **others):
    classes = tuple(f"c{number}" for number in range(outputs))
    return Signature("table", (1,), (1,), classes, (), (0.0,), (1.0,), target=target, **others)


def classifier(count, classes):
    targets = RANDOM.integers(0, classes, count).astype(np.int32)
    outputs = RANDOM.normal(size=(count, classes)).astype(np.float32)
    outputs[np.arange(count), targets] += 1
    return outputs, targets


def resampled(outputs, targets, statistic, seed=0):
    """The percentiles of a statistic of examples drawn with replacement."""
    random = np.random.default_rng(seed)
    values = []
    for _ in range(RESAMPLES):
        drawn = random.integers(0, len(targets), len(targets))
        values.append(statistic(outputs[drawn], targets[drawn]))
    return np.percentile(values, [2.5, 97.5])


def accuracy(outputs, targets):
    return np.mean(outputs.argmax(1) == targets)


def loss(outputs, targets):
    exponents = np.exp(outputs.astype(np.float64))
    shares = exponents / exponents.sum(1, keepdims=True)
    return -np.mean(np.log(shares[np.arange(len(targets)), targets]))


def f1(outputs, targets):
    predicted = outputs.argmax(1)
    values = []
    for c in np.unique(targets):
        is_predicted, is_class = predicted == c, targets == c
        values.append(2 * np.sum(is_predicted & is_class) / (is_predicted.sum() + is_class.sum()))
    return np.mean(values)


def auc(outputs, targets):
    """From all pairs of a positive and a negative of each class."""
    exponents = np.exp(outputs.astype(np.float64))
    shares = exponents / exponents.sum(1, keepdims=True)
    areas = []
    for c in np.unique(targets):
        positives, negatives = shares[targets == c, c], shares[targets != c, c]
        larger = positives[:, None] > negatives
        areas.append((larger + (positives[:, None] == negatives) / 2).mean())
    return np.mean(areas)


def test_classification_against_numpy():
    outputs, targets = classifier(80, 3)
    metrics = tuple(table.TABLES["classification"].values())
    found = bootstrap(metrics, signature("classification", 3), outputs, targets)
    for name, statistic, tolerance in (
        ("accuracy", accuracy, 1e-6),
        ("loss", loss, 1e-5),
        ("f1", f1, 1e-6),
        # The metric has 1000 thresholds.
        ("auc", auc, 2e-3),
    ):
        np.testing.assert_allclose(found[name], resampled(outputs, targets, statistic), tolerance)
    assert set(found) == {metric.name for metric in metrics if metric.more_is_better is not None}


def test_regression_against_numpy():
    targets = RANDOM.normal(50, 10, size=(60, 2)).astype(np.float32)
    of = signature("regression", 2, target_offset=(50.0, 50.0), target_scale=(0.1, 0.1))
    outputs = ((targets - 50) * 0.1 + RANDOM.normal(0, 0.5, (60, 2))).astype(np.float32)

    def rmse(outputs, targets):
        return np.sqrt(np.mean((outputs / 0.1 + 50 - targets) ** 2, axis=0)).mean()

    def r2(outputs, targets):
        residual = ((outputs / 0.1 + 50 - targets) ** 2).sum(axis=0)
        return np.mean(1 - residual / ((targets - targets.mean(axis=0)) ** 2).sum(axis=0))

    found = bootstrap(tuple(table.TABLES["regression"].values()), of, outputs, targets)
    for name, statistic in (("rmse", rmse), ("r2", r2)):
        np.testing.assert_allclose(found[name], resampled(outputs, targets, statistic), 1e-4)


def test_multi_label_against_numpy():
    targets = RANDOM.integers(0, 2, (50, 3)).astype(np.float32)
    outputs = (RANDOM.normal(size=(50, 3)) + targets).astype(np.float32)
    found = bootstrap(
        tuple(table.TABLES["multi_label"].values()), signature("multi_label", 3), outputs, targets
    )
    expected = resampled(outputs, targets, lambda o, t: np.mean(((o >= 0) == t).all(axis=1)))
    np.testing.assert_allclose(found["exact_match"], expected, 1e-6)


def test_the_width_is_that_of_a_binomial():
    outputs, targets = classifier(2000, 2)
    metrics = table.find_all(["accuracy"])
    low, high = bootstrap(metrics, signature("classification", 2), outputs, targets)["accuracy"]
    share = accuracy(outputs, targets)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / 2000), rel=0.1)


def test_groups_have_intervals_as_wide_as_single_examples(monkeypatch):
    outputs, targets = classifier(900, 3)
    metrics, of = table.find_all(["accuracy", "auc"]), signature("classification", 3)
    single = bootstrap(metrics, of, outputs, targets)
    monkeypatch.setattr(intervals, "_GROUPS", 300)
    groups = bootstrap(metrics, of, outputs, targets)
    for name, interval in single.items():
        width = interval[1] - interval[0]
        np.testing.assert_allclose(groups[name], interval, atol=0.15 * width)


def test_one_example():
    outputs, targets = classifier(1, 2)
    found = bootstrap(table.find_all([]), signature("classification", 2), outputs, targets)
    assert found["accuracy"][0] == found["accuracy"][1]

"""Losses against NumPy in float64 and scikit-learn, and the checks of their settings."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from trainer.compat.keras import tf
from trainer.config import Train
from trainer.data.signature import Signature
from trainer.errors import UserError
from trainer.supervised.losses import (
    binary_cross_entropy,
    class_weights,
    cross_entropy,
    label_weights,
    make_loss,
    squared_error,
)

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(6, 3)) * 2
LABELS = np.array([0, 1, 2, 2, 1, 0])
PRESENT = RANDOM.integers(0, 2, (6, 3)).astype(np.float64)
WEIGHTS = (0.5, 2.0, 3.0)


def signature(target):
    is_regression = target == "regression"
    scaling = ((1.0, 2.0, 3.0), (0.5, 1.0, 2.0)) if is_regression else ((), ())
    return Signature("table", (4,), (4,), ("a", "b", "c"), (), (), (), (), target, *scaling)


def float32(values):
    return tf.constant(values, tf.float32)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [(), WEIGHTS])
def test_cross_entropy(gamma, smoothing, weights):
    q = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    p = np.eye(3)[LABELS] * (1 - smoothing) + smoothing / 3
    w = np.array(weights or (1.0, 1.0, 1.0))
    expected = -(w * p * (1 - q) ** gamma * np.log(q)).sum(axis=1)
    for targets in (tf.constant(LABELS, tf.int32), float32(np.eye(3)[LABELS])):
        found = cross_entropy(targets, float32(LOGITS), smoothing, gamma, weights)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 1.5])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [(), WEIGHTS])
def test_binary_cross_entropy(gamma, smoothing, weights):
    q = 1 / (1 + np.exp(-LOGITS))
    p = PRESENT * (1 - smoothing) + smoothing / 2
    w = np.array(weights or (1.0, 1.0, 1.0))
    terms = w * p * (1 - q) ** gamma * np.log(q) + (1 - p) * q**gamma * np.log(1 - q)
    found = binary_cross_entropy(float32(PRESENT), float32(LOGITS), smoothing, gamma, weights)
    np.testing.assert_allclose(found, -terms.mean(axis=1), rtol=1e-5)


def test_losses_of_certain_predictions_are_finite():
    certain = float32([[500.0, -500.0, 0.0]] * 6)
    for gamma in (0.0, 2.0):
        for found in (
            cross_entropy(tf.constant(LABELS, tf.int32), certain, 0.1, gamma, WEIGHTS),
            binary_cross_entropy(float32(PRESENT), certain, 0.1, gamma, WEIGHTS),
        ):
            assert np.isfinite(found).all()


def test_squared_error_is_of_standardized_values():
    targets = RANDOM.normal(size=(6, 2)) * 10
    outputs = RANDOM.normal(size=(6, 2))
    expected = ((outputs - (targets - [3.0, -1.0]) * [0.1, 2.0]) ** 2).mean(axis=1)
    found = squared_error(float32(targets), float32(outputs), (3.0, -1.0), (0.1, 2.0))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_balanced_weights_equal_those_of_scikit_learn():
    targets = np.array([0] * 50 + [1] * 8 + [2] * 2, np.int32)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    found = class_weights("balanced", "abc", targets)
    np.testing.assert_allclose(found, expected)
    # The mean weight of an example is 1, so that the learning rate keeps its meaning.
    np.testing.assert_allclose(np.array(found)[targets].mean(), 1)


def test_balanced_labels_weigh_as_much_present_as_absent():
    targets = np.zeros((20, 2), np.float32)
    targets[:4, 0], targets[:10, 1] = 1, 1
    assert label_weights("balanced", "ab", targets) == (4.0, 1.0)


def test_given_weights():
    assert class_weights("", "abc", np.array([0], np.int32)) == ()
    assert class_weights("c=3, a=0.5", "abc", np.array([0], np.int32)) == (0.5, 1.0, 3.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("d=1", "class in train.class_weights"),
        ("a", "class in train.class_weights"),
        ("a=x", "Received: 'a=x'"),
        ("a=-1", "Received: 'a=-1'"),
        ("a=inf", "Received: 'a=inf'"),
    ],
)
def test_wrong_weights_are_refused(text, message):
    with pytest.raises(UserError, match=message) as caught:
        class_weights(text, "abc", np.array([0], np.int32))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "setting", [{"label_smoothing": 0.1}, {"focal_gamma": 2.0}, {"class_weights": "balanced"}]
)
def test_settings_for_classes_are_refused_for_a_regression(setting):
    with pytest.raises(UserError, match=f"train.{next(iter(setting))} is for classes"):
        make_loss(Train(**setting), signature("regression"), np.zeros((6, 3), np.float32))


def test_each_target_has_its_loss():
    train = Train(label_smoothing=0.1, focal_gamma=1.0, class_weights="balanced")
    for target, targets, expected in (
        ("classification", LABELS.astype(np.int32), cross_entropy),
        ("multi_label", PRESENT.astype(np.float32), binary_cross_entropy),
    ):
        weigh = class_weights if target == "classification" else label_weights
        weights = weigh("balanced", "abc", targets)
        found = make_loss(train, signature(target), targets)(tf.constant(targets), float32(LOGITS))
        np.testing.assert_allclose(
            found, expected(tf.constant(targets), float32(LOGITS), 0.1, 1.0, weights), rtol=1e-6
        )
    values = float32(LOGITS + 1)
    found = make_loss(Train(), signature("regression"), values.numpy())(values, float32(LOGITS))
    np.testing.assert_allclose(
        found, squared_error(values, float32(LOGITS), (1.0, 2.0, 3.0), (0.5, 1.0, 2.0))
    )

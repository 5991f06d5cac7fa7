"""The loss with auxiliary classifiers, and what reaches the lower layers."""

import functools

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.config import Airbench, CustomModel, Inception, Supervised, Train
from trainer.data.examples import InMemoryExamples
from trainer.data.signature import Signature
from trainer.models.airbench import patch_covariance, whitening_filters
from trainer.models.building import build_features
from trainer.models.context import Auxiliary, Context, Features
from trainer.supervised.classifier import Classifier, Outputs, training_loss
from trainer.supervised.losses import cross_entropy

RANDOM = np.random.default_rng(0)
SHAPE = (4,)
WEIGHT = 0.25


def two_headed(config, inputs, context):
    """A lower layer with an auxiliary classifier; the main path is cut off from it."""
    del config, context
    lower = keras.layers.Dense(5, name="lower")(inputs)
    main = keras.layers.Dense(6, name="upper")(inputs)
    return Features(main, (Auxiliary(lower, WEIGHT),))


@pytest.fixture
def classifier():
    signature = Signature("table", SHAPE, SHAPE, ("a", "b", "c"), (), (0.0,) * 4, (1.0,) * 4)
    model = CustomModel(builder=f"{__name__}:two_headed")
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    return Classifier(Supervised(model=model, train=Train(global_batch_size=8)), signature, step)


def batch():
    x = tf.constant(RANDOM.normal(size=(8, *SHAPE)), tf.float32)
    return x, tf.constant(RANDOM.integers(0, 3, 8), tf.int32)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_the_loss_is_the_weighted_sum_of_all_classifiers(label_smoothing):
    _, targets = batch()
    main, first, second = (tf.constant(RANDOM.normal(size=(8, 3)), tf.float32) for _ in range(3))
    outputs = Outputs(main, ((0.3, first), (0.5, second)))
    loss = functools.partial(cross_entropy, label_smoothing=label_smoothing)
    a, b, c = (loss(targets, each) for each in (main, first, second))
    np.testing.assert_allclose(
        training_loss(loss, targets, outputs), a + 0.3 * b + 0.5 * c, rtol=1e-6
    )


def test_an_auxiliary_loss_reaches_the_lower_layers_with_its_weight(classifier):
    x, targets = batch()
    lower = classifier.network.get_layer("lower").kernel
    with tf.GradientTape(persistent=True) as tape:
        outputs = classifier.outputs(x, training=True)
        total = tf.reduce_sum(training_loss(cross_entropy, targets, outputs))
        ((_, logits),) = outputs.auxiliary
        auxiliary = tf.reduce_sum(cross_entropy(targets, logits))
        main = tf.reduce_sum(cross_entropy(targets, outputs.logits))
    # The main classifier does not see the lower layer in this network.
    assert tape.gradient(main, lower) is None
    gradient = tape.gradient(total, lower).numpy()
    assert np.abs(gradient).max() > 1e-3
    np.testing.assert_allclose(gradient, WEIGHT * tape.gradient(auxiliary, lower), rtol=1e-5)


def test_evaluation_uses_the_main_classifier_only(classifier):
    x, _ = batch()
    before = classifier.logits(x, training=False)
    classifier.network.get_layer("lower").kernel.assign(tf.ones([4, 5]))
    np.testing.assert_array_equal(classifier.logits(x, training=False), before)
    assert before.shape == (8, 3)


def test_inception_has_two_auxiliary_classifiers():
    signature = Signature("image", (16, 16, 3), (16, 16, 3), ("a", "b"), (), (0.0,) * 3, (1.0,) * 3)
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    experiment = Supervised(model=Inception(width=0.05, dropout=0.0))
    classifier = Classifier(experiment, signature, step)
    outputs = classifier.outputs(tf.random.normal([8, 16, 16, 3]), training=True)
    assert [weight for weight, _ in outputs.auxiliary] == [0.3, 0.3]
    assert {logits.shape for _, logits in outputs.auxiliary} == {(8, 2)}
    assert {logits.dtype for _, logits in outputs.auxiliary} == {tf.float32}


def test_reinforcement_learning_gets_the_main_features():
    inputs = keras.Input((16, 16, 3))
    context = Context(0, tf.Variable(0, dtype=tf.int64, trainable=False))
    features = build_features(Inception(width=0.05), inputs, context)
    # (384 + 384 + 128 + 128) · 0.05, each branch rounded.
    assert features.shape == (None, 19 + 19 + 6 + 6)


def test_a_network_is_initialized_from_the_first_5000_normalized_training_examples():
    images = RANDOM.integers(0, 256, size=(5100, 16, 16, 1)).astype(np.uint8)
    images[5000:] = 255
    split = InMemoryExamples(images, np.zeros(len(images), np.int32))
    shape = images.shape[1:]
    signature = Signature("image", shape, shape, ("a", "b"), (), (100.0,), (0.02,))
    experiment = Supervised(model=Airbench(width=0.05))
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    kernel = Classifier(experiment, signature, step, split).network.get_layer("whitening").kernel
    expected = whitening_filters(patch_covariance(iter([(images[:5000] - 100.0) * 0.02])))
    np.testing.assert_allclose(kernel.numpy().reshape(4, 8), expected, rtol=1e-2, atol=1e-3)

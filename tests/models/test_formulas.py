"""The founding document's formulas, held to independent NumPy computations in float64."""

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.config import CNN, MLP, Linear
from trainer.models.batch_norm import BatchNormalization
from trainer.models.building import build_features
from trainer.models.context import Context
from trainer.models.residual_blocks import Style, residual_stages
from trainer.models.stochastic_depth import StochasticDepth
from trainer.supervised.losses import cross_entropy

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def float64():
    keras.backend.set_floatx("float64")
    keras.mixed_precision.set_global_policy("float64")
    yield
    keras.backend.set_floatx("float32")
    keras.mixed_precision.set_global_policy("float32")


def network(config, shape, outputs=3):
    keras.utils.set_random_seed(1)
    inputs = keras.Input(shape)
    features = build_features(config, inputs, Context(0, tf.Variable(0, dtype=tf.int64)))
    # The usual head is float32, for mixed precision; this comparison needs float64.
    exact = keras.Model(inputs, keras.layers.Dense(outputs, dtype="float64")(features))
    for variable in exact.trainable_variables:
        variable.assign(RANDOM.normal(size=variable.shape) * 0.5)
    return exact


def numpy_convolution(x, kernel, bias):
    """y[b, i, j, f] = sum over m, n, c of x[b, i+m, j+n, c] w[m, n, c, f], plus the bias."""
    height, width, _, filters = kernel.shape
    batch, rows, columns, _ = x.shape
    y = np.zeros((batch, rows - height + 1, columns - width + 1, filters))
    for i in range(y.shape[1]):
        for j in range(y.shape[2]):
            window = x[:, i : i + height, j : j + width, :]
            y[:, i, j, :] = np.tensordot(window, kernel, axes=3) + bias
    return y


def numpy_max_pooling(x, size):
    batch, rows, columns, channels = x.shape
    y = np.zeros((batch, rows // size, columns // size, channels))
    for i in range(y.shape[1]):
        for j in range(y.shape[2]):
            window = x[:, i * size : (i + 1) * size, j * size : (j + 1) * size, :]
            y[:, i, j, :] = window.max(axis=(1, 2))
    return y


def test_linear():
    net = network(Linear(), (5,))
    weights, bias = (variable.numpy() for variable in net.trainable_variables)
    x = RANDOM.normal(size=(7, 5))
    np.testing.assert_allclose(net(x), x @ weights + bias, rtol=1e-12)


def test_mlp():
    net = network(MLP(units=(6, 4), activation="tanh"), (5,))
    w1, b1, w2, b2, w3, b3 = (variable.numpy() for variable in net.trainable_variables)
    x = RANDOM.normal(size=(7, 5))
    hidden = np.tanh(np.tanh(x @ w1 + b1) @ w2 + b2)
    np.testing.assert_allclose(net(x), hidden @ w3 + b3, rtol=1e-12)


def test_convolution_and_max_pooling():
    config = CNN(filters=(4,), kernel_size=(3,), padding="valid", pool=2, units=())
    net = network(config, (8, 8, 2))
    kernel, bias, weights, head_bias = (variable.numpy() for variable in net.trainable_variables)
    x = RANDOM.normal(size=(3, 8, 8, 2))
    features = numpy_max_pooling(np.maximum(numpy_convolution(x, kernel, bias), 0), 2)
    expected = features.reshape(3, -1) @ weights + head_bias
    np.testing.assert_allclose(net(x), expected, rtol=1e-10)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_cross_entropy(label_smoothing):
    logits = RANDOM.normal(size=(6, 4))
    labels = np.array([0, 1, 2, 3, 3, 0], np.int32)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = np.eye(4)[labels] * (1 - label_smoothing) + label_smoothing / 4
    expected = -(targets * np.log(probabilities)).sum(axis=1)
    np.testing.assert_allclose(
        cross_entropy(tf.constant(labels), tf.constant(logits), label_smoothing), expected, 1e-6
    )


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (Linear(), (5,)),
        (MLP(units=(6,), activation="tanh"), (5,)),
        (CNN(filters=(3,), padding="valid", units=(4,), activation="tanh"), (6, 6, 2)),
    ],
    ids=["linear", "mlp", "cnn"],
)
def test_backpropagation_agrees_with_finite_differences(config, shape):
    net = network(config, shape)
    x = tf.constant(RANDOM.normal(size=(4, *shape)))
    labels = tf.constant([0, 1, 2, 0])

    def loss():
        return tf.reduce_mean(cross_entropy(labels, net(x), 0.0))

    with tf.GradientTape() as tape:
        value = loss()
    gradients = tape.gradient(value, net.trainable_variables)
    for variable, gradient in zip(net.trainable_variables, gradients, strict=True):
        original = variable.numpy()
        for _ in range(4):
            index = tuple(RANDOM.integers(size) for size in original.shape)
            shifted = original.copy()
            shifted[index] += 1e-6
            variable.assign(shifted)
            above = loss()
            shifted[index] -= 2e-6
            variable.assign(shifted)
            difference = (above - loss()) / 2e-6
            variable.assign(original)
            np.testing.assert_allclose(gradient.numpy()[index], difference, rtol=1e-5, atol=1e-9)


def numpy_batch_norm(x, mean, variance, gamma, beta, epsilon):
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


@pytest.mark.parametrize("group_size", [0, 2, 3, 6])
def test_batch_normalization(group_size):
    momentum, epsilon = 0.8, 1e-3
    layer = BatchNormalization(group_size, momentum, epsilon)
    layer.build(tf.TensorShape([None, 4, 4, 3]))
    gamma, beta = RANDOM.normal(size=(2, 3))
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    x = RANDOM.normal(1.5, 2.0, size=(6, 4, 4, 3))
    moving_mean, moving_variance = np.zeros(3), np.ones(3)
    expected = []
    for group in np.split(x, 6 // group_size if group_size else 1):
        mean, variance = group.mean(axis=(0, 1, 2)), group.var(axis=(0, 1, 2))
        expected.append(numpy_batch_norm(group, mean, variance, gamma, beta, epsilon))
        unbiased = group.var(axis=(0, 1, 2), ddof=1)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_variance = momentum * moving_variance + (1 - momentum) * unbiased
    np.testing.assert_allclose(layer(x, training=True), np.concatenate(expected), rtol=1e-9)
    np.testing.assert_allclose(layer.moving_mean, moving_mean, rtol=1e-9)
    np.testing.assert_allclose(layer.moving_variance, moving_variance, rtol=1e-9)
    inference = numpy_batch_norm(x, moving_mean, moving_variance, gamma, beta, epsilon)
    np.testing.assert_allclose(layer(x, training=False), inference, rtol=1e-9)


def residual_network(preactivation):
    """Two blocks that keep the shape `[B, 5, 5, 4]`."""
    inputs = keras.Input((5, 5, 4))
    style = Style(blocks=2, preactivation=preactivation)
    context = Context(0, tf.Variable(0, dtype=tf.int64))
    return keras.Model(inputs, residual_stages(inputs, 4, (2,), style, context))


@pytest.mark.parametrize("preactivation", [False, True], ids=["post", "pre"])
def test_a_residual_block_without_weights_is_the_identity(preactivation):
    net = residual_network(preactivation)
    x = RANDOM.normal(size=(3, 5, 5, 4))
    assert np.abs(net(x) - x).max() > 0.1
    for variable in net.trainable_variables:
        if "kernel" in variable.name:
            variable.assign(tf.zeros_like(variable))
    # y = ReLU(x + F(x)), or y = x + F(x) where the ReLU is in the branch.
    expected = x if preactivation else np.maximum(x, 0)
    np.testing.assert_array_equal(net(x, training=True), expected)


def test_stochastic_depth_has_the_expectation_of_the_whole_branch():
    """E[mask / (1 - rate)] = 1, so that inference needs no factor."""
    rate, updates = 0.3, 400
    step = tf.Variable(0, dtype=tf.int64)
    layer = StochasticDepth(rate, 0, step, "branch")
    x = RANDOM.normal(size=(50, 4))
    total = np.zeros_like(x)
    for update in range(updates):
        step.assign(update)
        total += layer(x, training=True).numpy()
    # Five standard deviations of the mean of independent masks.
    tolerance = 5 * np.abs(x) * np.sqrt(rate / (1 - rate) / updates)
    assert (np.abs(total / updates - x) < tolerance).all()
    np.testing.assert_array_equal(layer(x, training=False), x)

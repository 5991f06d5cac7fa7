import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.models.context import Context
from trainer.models.convolution import batch_norm_relu, convolution, convolution_batch_norm, scaled


@pytest.fixture
def context():
    return Context(0, tf.Variable(0, dtype=tf.int64), batch_norm_group=4)


@pytest.mark.parametrize(
    ("channels", "width", "expected"), [(64, 1.0, 64), (64, 0.25, 16), (3, 0.5, 2), (1, 0.1, 1)]
)
def test_width_scales_channels(channels, width, expected):
    assert scaled(channels, width) == expected


def test_a_convolution_with_batch_norm_has_no_bias(context):
    inputs = keras.Input((8, 8, 3))
    network = keras.Model(inputs, convolution_batch_norm(inputs, 6, 3, context, strides=2))
    assert network.output_shape == (None, 4, 4, 6)
    assert [v.name.split("/")[-1] for v in network.variables] == [
        "kernel:0", "gamma:0", "beta:0", "moving_mean:0", "moving_variance:0",
    ]  # fmt: skip
    assert (network(tf.random.normal([4, 8, 8, 3])).numpy() >= 0).all()


def test_the_rectifier_is_optional(context):
    inputs = keras.Input((8, 8, 3))
    network = keras.Model(inputs, convolution_batch_norm(inputs, 6, 3, context, relu=False))
    assert (network(tf.random.normal([4, 8, 8, 3])).numpy() < 0).any()


def test_the_group_of_the_context_is_used(context):
    inputs = keras.Input((2, 2, 1))
    network = keras.Model(inputs, batch_norm_relu(inputs, context))
    x = tf.random.normal([8, 2, 2, 1])
    halves = [network(half, training=True) for half in tf.split(x, 2)]
    np.testing.assert_allclose(network(x, training=True), tf.concat(halves, 0), atol=1e-6)


def test_the_initialization_is_he_normal():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 64))
    kernel, bias = keras.Model(inputs, convolution(inputs, 128, 3)).get_weights()
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 64)), rtol=0.02)
    np.testing.assert_array_equal(bias, np.zeros(128))


@pytest.mark.parametrize("channels", [1, 4, 8])
def test_a_strided_kernel_of_one_pixel_has_its_gradient(channels):
    """TensorFlow's own operation is wrong with oneDNN and few channels on some processors."""
    inputs = keras.Input((9, 9, channels))
    network = keras.Model(inputs, convolution(inputs, 16, 1, strides=2, use_bias=False))
    random = np.random.default_rng(0)
    x = random.normal(size=(4, 9, 9, channels)).astype(np.float32)
    dy = random.normal(size=(4, 5, 5, 16)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(x) * dy)
    (kernel,) = network.trainable_variables
    expected = np.einsum("bijc,bijd->cd", x[:, ::2, ::2], dy)
    np.testing.assert_allclose(tape.gradient(loss, kernel)[0, 0], expected, rtol=1e-4, atol=1e-4)

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.optim.weight_decay import SGD, RMSprop, has_weight_decay


@pytest.mark.parametrize(
    ("shape", "decays"), [((), False), ((3,), False), ((3, 2), True), ((3, 3, 2, 4), True)]
)
def test_only_kernels_have_weight_decay(shape, decays):
    assert has_weight_decay(tf.Variable(tf.zeros(shape))) is decays


@pytest.mark.parametrize(
    "make",
    [
        lambda decay: SGD(0.1, momentum=0.9, nesterov=True, weight_decay=decay),
        lambda decay: RMSprop(0.1, rho=0.9, momentum=0.5, epsilon=1e-7, weight_decay=decay),
    ],
)
def test_the_term_is_the_gradient_of_an_l2_loss(make):
    network = keras.Sequential([keras.layers.Dense(3), keras.layers.LayerNormalization()])
    network.build([None, 4])
    start = network.get_weights()
    features = tf.constant(np.random.default_rng(0).normal(size=(5, 4)), tf.float32)

    def trained(optimizer, in_loss):
        network.set_weights(start)
        for _ in range(3):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(network(features)[:, 0])
                loss += in_loss / 2 * tf.reduce_sum(tf.square(network.layers[0].kernel))
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return network.get_weights()

    for a, b in zip(trained(make(0.3), 0.0), trained(make(0.0), 0.3), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)

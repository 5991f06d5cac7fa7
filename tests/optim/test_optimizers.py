import math

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import SGD, Adam, AdamW, RMSprop
from trainer.config.fields import variants
from trainer.config.optimizers import Optimizer as OptimizerConfig
from trainer.optim.optimizers import OPTIMIZERS, Optimizer, global_norm


def test_every_kind_of_the_configuration_has_an_optimizer():
    assert set(OPTIMIZERS) == set(variants(OptimizerConfig))


def updated(config, gradient, updates=1, scales_loss=False):
    """Two variables after updates with a constant gradient."""
    variables = [tf.Variable([1.0, 2.0]), tf.Variable([[3.0]])]
    optimizer = Optimizer(config, variables, schedule_updates=100, scales_loss=scales_loss)
    for _ in range(updates):
        with tf.GradientTape() as tape:
            loss = tf.add_n(
                [
                    tf.reduce_sum(v * tf.constant(g))
                    for v, g in zip(variables, gradient, strict=True)
                ]
            )
        optimizer.apply(optimizer.gradients(tape, loss), loss)
    assert int(optimizer.iterations) == updates
    return [variable.numpy() for variable in variables]


GRADIENT = [[0.3, 0.4], [[1.2]]]


def test_sgd():
    first, second = updated(SGD(learning_rate=0.1), GRADIENT)
    np.testing.assert_allclose(first, [0.97, 1.96], rtol=1e-6)
    np.testing.assert_allclose(second, [[2.88]], rtol=1e-6)


def test_momentum():
    # v1 = -0.1 g, v2 = 0.9 v1 - 0.1 g; w2 = w0 + v1 + v2.
    first, _ = updated(SGD(learning_rate=0.1, momentum=0.9), GRADIENT, updates=2)
    np.testing.assert_allclose(first, [1 - 0.03 * 2.9, 2 - 0.04 * 2.9], rtol=1e-6)


def test_adam_moves_by_its_step_size_at_first():
    first, second = updated(Adam(learning_rate=0.01), GRADIENT)
    np.testing.assert_allclose(first, [0.99, 1.99], rtol=1e-5)
    np.testing.assert_allclose(second, [[2.99]], rtol=1e-5)


def test_adamw_decays_weights_besides():
    first, _ = updated(AdamW(learning_rate=0.01, weight_decay=0.5), GRADIENT)
    np.testing.assert_allclose(first, [1 - 0.005 - 0.01, 2 - 0.01 - 0.01], rtol=1e-5)


def test_rmsprop():
    first, _ = updated(RMSprop(learning_rate=0.01, rho=0.9), GRADIENT)
    # The first step is 0.01 g / sqrt(0.1 g²), whatever g.
    step = 0.01 / math.sqrt(0.1)
    np.testing.assert_allclose(first, [1 - step, 2 - step], rtol=1e-4)


@pytest.mark.parametrize("clip_norm", [0.65, 100.0])
def test_clipping_is_by_the_global_norm(clip_norm):
    # The norm of (0.3, 0.4, 1.2) is 1.3.
    factor = min(1.0, clip_norm / 1.3)
    first, second = updated(SGD(learning_rate=1.0, clip_norm=clip_norm), GRADIENT)
    np.testing.assert_allclose(first, [1 - 0.3 * factor, 2 - 0.4 * factor], rtol=1e-5)
    np.testing.assert_allclose(second, [[3 - 1.2 * factor]], rtol=1e-5)


def test_the_norm_before_clipping_is_returned():
    variables = [tf.Variable([1.0, 2.0]), tf.Variable([[3.0]])]
    optimizer = Optimizer(SGD(clip_norm=0.1), variables, schedule_updates=10)
    norm, _ = optimizer.apply([tf.constant(g) for g in GRADIENT], tf.constant(0.0))
    np.testing.assert_allclose(norm, 1.3, rtol=1e-6)


def test_global_norm():
    values = np.random.default_rng(0).normal(size=(7, 5, 3)).astype(np.float32)
    found = global_norm([tf.constant(values), tf.constant(values[0, 0])])
    expected = np.sqrt((values**2).sum() + (values[0, 0] ** 2).sum())
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_scaled_loss_makes_the_same_update():
    plain = updated(SGD(learning_rate=0.1), GRADIENT)
    scaled = updated(SGD(learning_rate=0.1), GRADIENT, scales_loss=True)
    for a, b in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)

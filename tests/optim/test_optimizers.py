import math

import numpy as np
import pytest

from trainer.config import Adam, AdamW, RMSprop, SGD
from trainer.compat.keras import tf
from trainer.optim import optimizers


def rates(config, total, steps):
    schedule = optimizers.LearningRate(config, total)
    return [float(schedule(tf.constant(step, tf.int64))) for step in steps]


def test_constant():
    assert rates(SGD(learning_rate=0.5), 10, [0, 5, 20]) == [0.5, 0.5, 0.5]


def test_rise_then_fall():
    config = SGD(learning_rate=1.0, warmup_steps=4, schedule="linear")
    expected = [0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.0, 0.0]
    np.testing.assert_allclose(rates(config, 12, [0, 1, 2, 3, 4, 8, 12, 99]), expected)


def test_cosine():
    config = SGD(learning_rate=2.0, schedule="cosine")
    expected = [1 + math.cos(math.pi * step / 10) for step in range(11)]
    np.testing.assert_allclose(rates(config, 10, range(11)), expected, atol=1e-6)


def test_the_scale_multiplies_all():
    schedule = optimizers.LearningRate(Adam(learning_rate=0.5), 10)
    schedule.scale.assign(0.25)
    assert float(schedule(0)) == 0.125


def updated(config, gradient, clip_norm=0.0, updates=1):
    variables = [tf.Variable([1.0, 2.0]), tf.Variable([[3.0]])]
    optimizer = optimizers.build_optimizer(config, optimizers.LearningRate(config, 100))
    optimizer.build(variables)
    for _ in range(updates):
        optimizers.apply_gradients(
            optimizer, [tf.constant(g) for g in gradient], variables, clip_norm
        )
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
    first, second = updated(SGD(learning_rate=1.0), GRADIENT, clip_norm)
    np.testing.assert_allclose(first, [1 - 0.3 * factor, 2 - 0.4 * factor], rtol=1e-5)
    np.testing.assert_allclose(second, [[3 - 1.2 * factor]], rtol=1e-5)

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.optim.lamb import LAMB


def moved(weight, gradient, weight_decay=0.0):
    """The change of a variable by one update with learning rate 0.01."""
    variable = tf.Variable(weight, dtype=tf.float32)
    optimizer = LAMB(0.01, beta_1=0.9, beta_2=0.999, epsilon=1e-6, weight_decay=weight_decay)
    optimizer.apply_gradients([(tf.constant(gradient, tf.float32), variable)])
    return variable.numpy() - np.float32(weight)


RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_a_kernel_moves_by_the_learning_rate_times_its_norm(scale, weight_decay):
    weight = scale * RANDOM.normal(size=(4, 3))
    step = moved(weight, RANDOM.normal(size=(4, 3)), weight_decay)
    np.testing.assert_allclose(np.linalg.norm(step), 0.01 * np.linalg.norm(weight), rtol=1e-3)


def test_a_kernel_of_zeros_moves_as_by_adam():
    step = moved(np.zeros((2, 2)), [[1.0, -2.0], [3.0, -4.0]])
    np.testing.assert_allclose(step, [[-0.01, 0.01], [-0.01, 0.01]], rtol=1e-4)


def test_a_kernel_without_gradient_and_decay_does_not_move():
    np.testing.assert_array_equal(moved(np.ones((2, 2)), np.zeros((2, 2))), np.zeros((2, 2)))


def test_a_bias_moves_as_by_adam():
    step = moved([100.0, 200.0], [1.0, -2.0], weight_decay=0.5)
    np.testing.assert_allclose(step, [-0.01, 0.01], rtol=1e-2)

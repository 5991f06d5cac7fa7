"""Noisy layers: the moments of their outputs, and where their noise comes from."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.engine import distribution
from trainer.rl.agents.noisy import NoisyDense

RANDOM = np.random.default_rng(0)
JIT = [False, True] if distribution.xla_compiles_for_cpus() else [False]


def layer(inputs=3, units=2):
    """A layer whose four parts are all different numbers."""
    made = NoisyDense(units, initial_sigma=0.5)
    made.build((None, inputs))
    for variable in made.variables:
        variable.assign(RANDOM.normal(size=variable.shape))
    return made


def test_the_initial_weights_are_those_of_the_paper():
    made = NoisyDense(200, initial_sigma=0.5)
    made.build((None, 16))
    for mean in (made.kernel, made.bias):
        assert 0.24 < np.abs(mean).max() <= 0.25
        np.testing.assert_allclose(np.std(mean), 0.25 / np.sqrt(3), rtol=0.1)
    for sigma in (made.kernel_sigma, made.bias_sigma):
        np.testing.assert_allclose(sigma, 0.5 / 4)


def test_without_a_seed_the_layer_is_affine():
    made, inputs = layer(), RANDOM.normal(size=(5, 3)).astype(np.float32)
    expected = inputs @ made.kernel.numpy() + made.bias.numpy()
    np.testing.assert_allclose(made(inputs), expected, rtol=1e-5)


@pytest.mark.parametrize("jit", JIT)
def test_the_noise_has_the_moments_of_the_factorized_form(jit):
    """E f(e)² is E |e| = √(2/π), and factors of different outputs are independent."""
    made, number = layer(), 200_000
    row = np.array([0.5, -1.0, 2.0])
    call = tf.function(made, jit_compile=jit)
    found = call(tf.repeat(tf.constant(row[None], tf.float32), number, axis=0), seed=[3, 4]).numpy()
    mean = row @ made.kernel.numpy() + made.bias.numpy()
    square = np.sqrt(2 / np.pi)
    kernel_part = square**2 * (row[:, None] * made.kernel_sigma.numpy()) ** 2
    variance = kernel_part.sum(axis=0) + square * made.bias_sigma.numpy() ** 2
    np.testing.assert_allclose(found.mean(axis=0), mean, atol=5 * np.sqrt(variance.max() / number))
    np.testing.assert_allclose(np.cov(found.T), np.diag(variance), rtol=0.03, atol=0.03)


@pytest.mark.parametrize("jit", JIT)
def test_the_noise_is_a_function_of_the_seed(jit):
    made, inputs = layer(), tf.ones([4, 3])
    call = tf.function(made, jit_compile=jit)
    first = call(inputs, seed=tf.constant([1, 2])).numpy()
    np.testing.assert_array_equal(first, call(inputs, seed=tf.constant([1, 2])))
    assert np.abs(first - call(inputs, seed=tf.constant([1, 3])).numpy()).min() > 1e-3
    # Each example has its own.
    assert np.abs(first[1:] - first[:-1]).min() > 1e-3

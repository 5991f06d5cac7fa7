import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.optim.muon import Muon, orthogonalized

RANDOM = np.random.default_rng(0)


def singular_values(matrix):
    return np.linalg.svd(np.float32(matrix), compute_uv=False)


@pytest.mark.parametrize("shape", [(4, 4), (8, 3), (3, 8), (1, 5), (64, 27)])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_singular_values_become_about_1(shape, scale):
    matrix = (scale * RANDOM.normal(size=shape)).astype(np.float32)
    found = orthogonalized(tf.constant(matrix), tf.float32)
    assert np.all(singular_values(found) < 1.25)
    # A square random matrix has singular values that are near 0 and stay small.
    assert np.median(singular_values(found)) > 0.6


def test_singular_vectors_remain():
    matrix = RANDOM.normal(size=(6, 4)).astype(np.float32)
    found = orthogonalized(tf.constant(matrix), tf.float32).numpy()
    # For X = U S V^T and its update U T V^T, X^T Y = V S T V^T is symmetric.
    product = matrix.T @ found
    np.testing.assert_allclose(product, product.T, atol=1e-4)


def test_bfloat16_differs_by_its_rounding():
    matrix = tf.constant(RANDOM.normal(size=(16, 8)), tf.float32)
    exact, rounded = (orthogonalized(matrix, dtype) for dtype in (tf.float32, tf.bfloat16))
    assert rounded.dtype == tf.bfloat16
    error = tf.norm(tf.cast(rounded, tf.float32) - exact) / tf.norm(exact)
    assert error < 0.1


def test_zeros_remain_zeros():
    found = orthogonalized(tf.zeros([3, 4]), tf.float32)
    np.testing.assert_array_equal(found, np.zeros((3, 4)))


def muon(**options):
    defaults = {
        "momentum": 0.0,
        "nesterov": False,
        "normalize_weights": False,
        "scale_by_shape": False,
        "newton_schulz_steps": 5,
        "weight_decay": 0.0,
    }
    return Muon(0.5, **{**defaults, **options})


def test_filters_have_a_root_mean_square_norm_of_1():
    kernel = tf.Variable(RANDOM.normal(size=(3, 3, 2, 16)), dtype=tf.float32)
    muon(normalize_weights=True).apply_gradients([(tf.zeros_like(kernel), kernel)])
    norms = np.linalg.norm(kernel.numpy().reshape(-1, 16), axis=0)
    np.testing.assert_allclose(np.sqrt(np.mean(norms**2)), 1.0, rtol=1e-5)


def test_a_kernel_of_zeros_is_not_normalized():
    kernel = tf.Variable(tf.zeros([4, 4]))
    muon(normalize_weights=True).apply_gradients([(tf.eye(4), kernel)])
    # The gradient is orthogonal, so the update is a multiple of it, times the learning rate.
    size = -kernel.numpy()[0, 0]
    assert 0.5 * 0.6 < size < 0.5 * 1.25
    np.testing.assert_allclose(kernel.numpy(), -size * np.eye(4), atol=1e-4)


@pytest.mark.parametrize(("shape", "factor"), [((4, 16), 2.0), ((16, 4), 1.0)])
def test_the_scale_depends_on_outputs_and_inputs(shape, factor):
    gradient = tf.constant(RANDOM.normal(size=shape), tf.float32)
    kernels = [tf.Variable(tf.zeros(shape)) for _ in range(2)]
    for kernel, scales in zip(kernels, (False, True), strict=True):
        muon(scale_by_shape=scales).apply_gradients([(gradient, kernel)])
    np.testing.assert_allclose(kernels[1].numpy(), factor * kernels[0].numpy(), rtol=1e-5)


def test_products_are_in_bfloat16_under_its_policy():
    kernel = tf.Variable(RANDOM.normal(size=(8, 8)), dtype=tf.float32)
    gradient = tf.constant(RANDOM.normal(size=(8, 8)), tf.float32)
    expected = kernel.numpy() - 0.5 * np.float32(orthogonalized(gradient, tf.bfloat16))
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        muon().apply_gradients([(gradient, kernel)])
    finally:
        keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_array_equal(kernel.numpy(), expected)

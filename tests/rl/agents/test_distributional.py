"""Losses of distributions against independent NumPy computations."""

import numpy as np

from trainer.compat.keras import tf
from trainer.rl.agents import distributional

RANDOM = np.random.default_rng(0)


def test_the_quantile_loss_equals_equation_10():
    quantiles, target = RANDOM.normal(size=(3, 5)) * 2, RANDOM.normal(size=(3, 7)) * 2
    expected = np.zeros(3)
    for b in range(3):
        for i in range(5):
            tau = (2 * (i + 1) - 1) / (2 * 5)
            for j in range(7):
                u = target[b, j] - quantiles[b, i]
                huber = 0.5 * u**2 if abs(u) <= 1 else abs(u) - 0.5
                expected[b] += abs(tau - (1.0 if u < 0 else 0.0)) * huber / 7
    found = distributional.quantile_huber(
        tf.constant(quantiles, tf.float32), tf.constant(target, tf.float32)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_quantile_loss_is_least_at_the_quantiles():
    """For returns that spread much wider than kappa = 1."""
    target = np.sort(RANDOM.exponential(size=400)) * 100
    quantiles = tf.Variable(tf.zeros([1, 8]))
    for step in range(500):
        with tf.GradientTape() as tape:
            loss = distributional.quantile_huber(quantiles, tf.constant(target[None], tf.float32))
        quantiles.assign_sub(200 * 0.99**step * tape.gradient(loss, quantiles))
    expected = np.quantile(target, (np.arange(8) + 0.5) / 8)
    np.testing.assert_allclose(quantiles[0], expected, rtol=0.02, atol=2)

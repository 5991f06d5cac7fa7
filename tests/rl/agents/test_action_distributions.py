"""Distributions against those of TensorFlow Probability, and samples against their densities."""

import numpy as np
import tensorflow_probability as tfp

from trainer.compat.keras import tf
from trainer.rl.agents.action_distributions import Categorical, DiagonalGaussian, squash
from trainer.rl.specs import Box

RANDOM = np.random.default_rng(0)
LOGITS = tf.constant(RANDOM.normal(size=(6, 4)), tf.float32)
MEAN = tf.constant(RANDOM.normal(size=(6, 3)), tf.float32)
LOG_STD = tf.constant([-1.0, 0.0, 0.5])


def test_categorical():
    expected = tfp.distributions.Categorical(logits=LOGITS)
    found = Categorical(LOGITS)
    actions = tf.constant([0, 1, 2, 3, 0, 1])
    np.testing.assert_allclose(found.log_prob(actions), expected.log_prob(actions), rtol=1e-4)
    np.testing.assert_allclose(found.entropy(), expected.entropy(), rtol=1e-4)
    np.testing.assert_array_equal(found.mode(), np.argmax(LOGITS, axis=1))
    many = Categorical(tf.repeat(LOGITS[:1], 20_000, axis=0)).sample(tf.constant([1, 2]))
    shares = np.bincount(many.numpy(), minlength=4) / len(many)
    np.testing.assert_allclose(shares, tf.nn.softmax(LOGITS[0]), atol=0.015)


def test_diagonal_gaussian():
    expected = tfp.distributions.MultivariateNormalDiag(MEAN, tf.exp(LOG_STD))
    found = DiagonalGaussian(MEAN, LOG_STD)
    latent = tf.constant(RANDOM.normal(size=(6, 3)), tf.float32)
    np.testing.assert_allclose(found.log_prob(latent), expected.log_prob(latent), rtol=1e-4)
    np.testing.assert_allclose(found.entropy(), expected.entropy(), rtol=1e-4)
    np.testing.assert_array_equal(found.mode(), MEAN)
    many = DiagonalGaussian(tf.repeat(MEAN[:1], 20_000, axis=0), LOG_STD)
    sample = many.sample(tf.constant([1, 2])).numpy()
    np.testing.assert_allclose(sample.mean(axis=0), MEAN[0], atol=0.04)
    np.testing.assert_allclose(sample.std(axis=0), np.exp(LOG_STD), rtol=0.03)


def test_actions_stay_within_their_bounds():
    infinity = float("inf")
    box = Box((-2.0, -infinity, 0.0), (4.0, infinity, infinity))
    found = squash(tf.constant([[-50.0, -50.0, -50.0], [0.0, 3.0, 3.0], [50.0, 50.0, 50.0]]), box)
    np.testing.assert_allclose(found, [[-2, -50, 0], [1, 3, 3], [4, 50, 50]])

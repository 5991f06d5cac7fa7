"""Distributions over actions: categorical, and a diagonal Gaussian squashed into bounds."""

import math
from typing import NamedTuple

import numpy as np

from trainer.compat.keras import tf
from trainer.rl.specs import Box


class Categorical(NamedTuple):
    """A distribution over n actions.

    Attributes:
      logits: float32 `[B, n]`.
    """

    logits: tf.Tensor

    def sample(self, seed: tf.Tensor) -> tf.Tensor:
        """One action each, int32 `[B]`, by the Gumbel-max trick (Gumbel, 1954)."""
        tiny = float(np.finfo(np.float32).tiny)
        uniform = tf.random.stateless_uniform(self.logits.shape, seed, minval=tiny)
        gumbel = -tf.math.log(-tf.math.log(uniform))
        return tf.argmax(self.logits + gumbel, axis=-1, output_type=tf.int32)

    def mode(self) -> tf.Tensor:
        """The most probable action, int32 `[B]`."""
        return tf.argmax(self.logits, axis=-1, output_type=tf.int32)

    def log_prob(self, action: tf.Tensor) -> tf.Tensor:
        """Log π(a), `[B]`."""
        log_pi = tf.nn.log_softmax(self.logits)
        return tf.reduce_sum(log_pi * tf.one_hot(action, self.logits.shape[-1]), axis=-1)

    def entropy(self) -> tf.Tensor:
        """−Σ π log π, `[B]`."""
        log_pi = tf.nn.log_softmax(self.logits)
        return -tf.reduce_sum(tf.exp(log_pi) * log_pi, axis=-1)


class DiagonalGaussian(NamedTuple):
    """Independent normal distributions of latent actions, which `squash` maps into bounds.

    Losses compare probabilities of the same latent action. The Jacobian of the map does not depend
    on the parameters: it cancels in ratios and vanishes in gradients, so it is left out.

    Attributes:
      mean: float32 `[B, A]`.
      log_std: float32 `[A]`.
    """

    mean: tf.Tensor
    log_std: tf.Tensor

    def sample(self, seed: tf.Tensor) -> tf.Tensor:
        """One latent action each, `[B, A]`."""
        noise = tf.random.stateless_normal(self.mean.shape, seed)
        return self.mean + tf.exp(self.log_std) * noise

    def mode(self) -> tf.Tensor:
        """The mean, `[B, A]`."""
        return self.mean

    def log_prob(self, latent: tf.Tensor) -> tf.Tensor:
        """The log density of latent actions, `[B]`."""
        z = (latent - self.mean) / tf.exp(self.log_std)
        each = -0.5 * tf.square(z) - self.log_std - 0.5 * math.log(2 * math.pi)
        return tf.reduce_sum(each, axis=-1)

    def entropy(self) -> tf.Tensor:
        """The entropy of the latent action, `[B]`."""
        total = tf.reduce_sum(self.log_std + 0.5 * math.log(2 * math.pi * math.e))
        return tf.fill([self.mean.shape[0]], total)


ActionDistribution = Categorical | DiagonalGaussian


def squash(latent: tf.Tensor, box: Box) -> tf.Tensor:
    """Actions of latent actions, both `[B, A]`.

    A component with two finite bounds is low + (high − low) (tanh(u) + 1) / 2, another is u,
    clipped at the bound it has.
    """
    low, high = np.asarray(box.low, np.float32), np.asarray(box.high, np.float32)
    is_bounded = np.isfinite(low) & np.isfinite(high)
    safe_low, safe_high = np.where(is_bounded, low, -1.0), np.where(is_bounded, high, 1.0)
    squashed = safe_low + (safe_high - safe_low) * (tf.tanh(latent) + 1.0) / 2.0
    return tf.where(is_bounded, squashed, tf.clip_by_value(latent, low, high))

"""Activations that Keras computes slowly."""

from trainer.compat.keras import tf


def gelu(x: tf.Tensor) -> tf.Tensor:
    """GELU, x Φ(x), with the normal distribution function Φ (Hendrycks and Gimpel, 2016)."""
    return tf.nn.gelu(x, approximate=False)

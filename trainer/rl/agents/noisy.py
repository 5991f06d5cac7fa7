"""Noisy layers: exploration by noise whose scale is learned."""

from typing import Any

from trainer.compat.keras import keras, tf


class NoisyDense(keras.layers.Dense):
    """An affine map with factorized Gaussian noise in its weights and biases.

    y_j = b_j + s_j f(e'_j) + Σ_i (W_ij + S_ij f(e_i) f(e'_j)) x_i with f(e) = sign(e) √|e| and
    standard normal e, e'. The noise is a function of the seed. Each example has its own:
    f(e'_j) leaves the sum, so that no example needs a matrix of its own.

    Source: Fortunato et al. (2018), equations 9 to 11, initialized as in section 3.2; the paper
    draws once for a whole batch.
    """

    def __init__(self, units: int, initial_sigma: float, **options: Any):
        """Declares the layer.

        Args:
          units: number of outputs.
          initial_sigma: sigma_0; S and s begin at sigma_0 / √inputs.
          **options: of a Keras layer.
        """
        super().__init__(units, **options)
        self._initial_sigma = initial_sigma

    def build(self, input_shape: Any) -> None:
        """Creates W, b `[units]`, S `[inputs, units]` and s."""
        inputs = int(input_shape[-1])
        bound = inputs**-0.5
        self.kernel_initializer = keras.initializers.RandomUniform(-bound, bound)
        self.bias_initializer = keras.initializers.RandomUniform(-bound, bound)
        super().build(input_shape)
        sigma = keras.initializers.Constant(self._initial_sigma * bound)
        self.kernel_sigma = self.add_weight("kernel_sigma", (inputs, self.units), initializer=sigma)
        self.bias_sigma = self.add_weight("bias_sigma", (self.units,), initializer=sigma)

    def call(self, inputs: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """Maps `[B, inputs]` to `[B, units]` float32.

        Args:
          inputs: float32.
          seed: int32 `[2]` of the noise; None for the mean weights.
        """
        mean = super().call(inputs)
        if seed is None:
            return mean
        input_seed, output_seed = tf.unstack(tf.random.split(seed, 2))
        noisy_inputs = inputs * _factors(tf.shape(inputs), input_seed)
        noise = tf.matmul(noisy_inputs, self.kernel_sigma) + self.bias_sigma
        return mean + noise * _factors(tf.shape(mean), output_seed)


def _factors(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """f(e) of standard normal e."""
    normal = tf.random.stateless_normal(shape, seed)
    return tf.sign(normal) * tf.sqrt(tf.abs(normal))

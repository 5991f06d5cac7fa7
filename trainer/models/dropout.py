"""Dropout whose mask is a pure function of (seed, layer name, step, replica)."""

import zlib
from typing import Any

from trainer.compat.keras import keras, tf
from trainer.models import halves


class Dropout(keras.layers.Layer):
    """Inverted dropout (Srivastava et al., 2014) without hidden random state.

    Keras' own layer draws from a stateful generator, which a resumed run would have to
    restore. Here the only state is the step counter, which is restored anyway.

    Input and output shape: `[B, ...]`, any floating dtype.
    """

    def __init__(self, rate: float, seed: int, step: tf.Variable, name: str):
        """Creates the layer.

        Args:
          rate: fraction of the units set to 0, in [0, 1); the others are scaled by
            1 / (1 - rate).
          seed: seed of the experiment.
          step: scalar int64, number of updates so far.
          name: distinguishes the layer from the network's other layers that drop.
        """
        super().__init__(name=name)
        self._rate = rate
        self._seed = (seed, zlib.crc32(name.encode()))
        self._step = step

    def get_config(self) -> dict[str, Any]:
        """Name and rate; the seed and the step counter belong to a run."""
        return {**super().get_config(), "rate": self._rate}

    @tf.autograph.experimental.do_not_convert
    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Drops units in training; returns the inputs otherwise."""
        if not training:
            return inputs
        seed = tf.random.experimental.stateless_fold_in(
            tf.constant(self._seed, tf.int64), tf.cast(self._step, tf.int64)
        )
        uniform = halves.uniform(self._mask_shape(inputs), seed)
        scaled = inputs * tf.cast(1 / (1 - self._rate), inputs.dtype)
        return tf.where(uniform >= self._rate, scaled, tf.zeros_like(inputs))

    def _mask_shape(self, inputs: tf.Tensor) -> tf.Tensor:
        """The shape of the mask, which must broadcast to the inputs'."""
        return tf.shape(inputs)

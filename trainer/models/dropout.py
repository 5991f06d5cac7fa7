"""Dropout whose mask is a pure function of (seed, layer, step, replica)."""

from trainer.compat.keras import keras, tf


class Dropout(keras.layers.Layer):
    """Inverted dropout (Srivastava et al., 2014) without hidden random state.

    Keras' own layer draws from a stateful generator, which a resumed run would have to
    restore; here the step counter, which it restores anyway, is all the state there is.

    Input and output shape: `[B, ...]`, any floating dtype.
    """

    def __init__(self, rate: float, seed: tuple[int, int], step: tf.Variable):
        """Builds the layer.

        Args:
          rate: share of the units set to 0, in [0, 1); the others grow by 1 / (1 - rate).
          seed: the experiment's seed and the layer's own number.
          step: scalar int64, the count of updates so far.
        """
        super().__init__()
        self._rate = rate
        self._seed = seed
        self._step = step

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Drops in training; passes the inputs on otherwise."""
        if not training:
            return inputs
        replica = tf.distribute.get_replica_context()
        replica_id = 0 if replica is None else replica.replica_id_in_sync_group
        seed = tf.random.experimental.stateless_fold_in(
            tf.constant(self._seed, tf.int64), tf.cast(self._step, tf.int64)
        )
        seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(replica_id, tf.int64))
        return tf.nn.experimental.stateless_dropout(inputs, self._rate, seed)

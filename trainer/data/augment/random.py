"""Random numbers of augmentations, a pure function of (seed, augmentation, place, number)."""

import dataclasses

from trainer.compat.keras import tf
from trainer.data.pipelines.order import Selection

# Numbers of draws below it belong to positions, the others to examples.
_OF_EXAMPLES = 128


@dataclasses.dataclass(frozen=True)
class Draws:
    """The random numbers of one augmentation for a batch.

    Attributes:
      seed: seed of the experiment.
      augmentation: index of the augmentation in the experiment's list.
      selection: the examples of the batch, B of them.
    """

    seed: int
    augmentation: int
    selection: Selection

    def uniform(self, number: int) -> tf.Tensor:
        """Draw `number` in [0, 128) of each position: float32 `[B]` in [0, 1)."""
        return self._uniform(self.selection.positions, number)

    def uniform_of_example(self, number: int) -> tf.Tensor:
        """As `uniform`, but an example has the same number in all epochs."""
        return self._uniform(self.selection.examples, _OF_EXAMPLES + number)

    def integers(self, number: int, count: int | tf.Tensor) -> tf.Tensor:
        """Draw `number` of each position as int32 `[B]` in [0, count)."""
        numbers = tf.cast(self.uniform(number) * tf.cast(count, tf.float32), tf.int32)
        # A product may be rounded up to `count`.
        return tf.minimum(numbers, count - 1)

    def _uniform(self, keys: tf.Tensor, number: int) -> tf.Tensor:
        """Source: the SplitMix64 generator (Steele, Lea and Flood, 2014), used as a hash."""
        stream = (self.seed << 16) + (self.augmentation << 8) + number
        state = _mix(tf.constant(stream % 2**64, tf.uint64)) + tf.cast(keys, tf.uint64)
        # float32 holds 24 bits exactly.
        bits = tf.bitwise.right_shift(_mix(state), tf.constant(40, tf.uint64))
        return tf.cast(bits, tf.float32) / 2.0**24


def _mix(state: tf.Tensor) -> tf.Tensor:
    state += tf.constant(0x9E3779B97F4A7C15, tf.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = _xor_shift(state, shift) * tf.constant(factor, tf.uint64)
    return _xor_shift(state, 31)


def _xor_shift(state: tf.Tensor, shift: int) -> tf.Tensor:
    shifted = tf.bitwise.right_shift(state, tf.constant(shift, tf.uint64))
    return tf.bitwise.bitwise_xor(state, shifted)

"""Random numbers as functions: of the experiment's seed, a stream's name and a counter."""

import zlib

from trainer.compat.keras import tf


def stream(seed: int, name: str, replica: int = 0) -> int:
    """A stream's own number in [0, 2**31): other names and replicas draw others."""
    return zlib.crc32(f"{seed}/{name}/{replica}".encode()) & 0x7FFFFFFF


def at(stream_number: int, counter: tf.Tensor) -> tf.Tensor:
    """The seed `[2]` int32 of a stream's draw number `counter`, a scalar of any integer type."""
    return tf.stack([tf.constant(stream_number), tf.cast(counter, tf.int32)])

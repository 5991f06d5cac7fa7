"""Random numbers as functions of the experiment's seed, a stream's name and a counter."""

import zlib

from trainer.compat.keras import tf


def stream(seed: int, name: str, replica: int = 0) -> int:
    """The number of a stream in [0, 2**31), different for each name and replica."""
    return zlib.crc32(f"{seed}/{name}/{replica}".encode()) & 0x7FFFFFFF


def at(stream_number: int, counter: tf.Tensor) -> tf.Tensor:
    """The seed, int32 `[2]`, of draw number `counter` (a scalar integer) of a stream."""
    return tf.stack([tf.constant(stream_number), tf.cast(counter, tf.int32)])

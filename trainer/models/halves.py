"""The halves of a batch, which a CPU of two cores computes side by side.

A random mask is always drawn one half after the other, whether the network is called with the whole
batch or with one half, so that the result does not depend on the number of cores.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import TypeVar

from trainer.compat.keras import tf

Result = TypeVar("Result")

_half: contextvars.ContextVar[int | None] = contextvars.ContextVar("half", default=None)
_micro_batch: contextvars.ContextVar[tf.Tensor | int] = contextvars.ContextVar(
    "micro_batch", default=0
)


def side_by_side(compute: Callable[..., Result], streams: int, *batch: tf.Tensor) -> list[Result]:
    """The results of `compute` for each half of a batch, or for the whole batch.

    Args:
      compute: calls the network; takes the tensors of a batch.
      streams: 2 for halves, whose operations do not depend on each other; 1 for the whole batch.
      *batch: tensors `[b, ...]`; b is even for halves.
    """
    if streams == 1:
        return [compute(*batch)]
    results = []
    for number, half in enumerate(zip(*(tf.split(each, 2) for each in batch), strict=True)):
        token = _half.set(number)
        try:
            results.append(compute(*half))
        finally:
            _half.reset(token)
    return results


@contextlib.contextmanager
def micro_batch(number: tf.Tensor) -> Iterator[None]:
    """A context in which the network is called with micro-batch `number`, scalar integer."""
    token = _micro_batch.set(number)
    try:
        yield
    finally:
        _micro_batch.reset(token)


def uniform(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Numbers in [0, 1), a pure function of the seed, the replica and the part of the batch.

    Args:
      shape: int32 `[rank]`; the first element is the number of examples of the call.
      seed: int64 `[2]`.

    Returns:
      float32 of that shape. bfloat16 has too few levels for a mask: at rate 0.001 it would
      drop 0.0079 of the units.
    """
    replica = tf.distribute.get_replica_context()
    replica_id = 0 if replica is None else replica.replica_id_in_sync_group
    for number in (replica_id, _micro_batch.get()):
        seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(number, tf.int64))
    if (number := _half.get()) is not None:
        return _draw(shape, seed, number)
    first = (shape[0] + 1) // 2
    halves = (first, shape[0] - first)
    return tf.concat(
        [_draw(tf.concat([[n], shape[1:]], 0), seed, i) for i, n in enumerate(halves)], axis=0
    )


def _draw(shape: tf.Tensor, seed: tf.Tensor, number: int) -> tf.Tensor:
    folded = tf.random.experimental.stateless_fold_in(seed, tf.constant(number, tf.int64))
    return tf.random.stateless_uniform(shape, folded, dtype=tf.float32)

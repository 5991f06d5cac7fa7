"""A function per example of a batch."""

from collections.abc import Callable, Sequence

from trainer.compat.keras import tf


def apply_by_group(
    functions: Sequence[Callable[..., tf.Tensor]], groups: tf.Tensor, *values: tf.Tensor
) -> tf.Tensor:
    """Applies `functions[groups[i]]` to example i, each function once to all its examples.

    Args:
      functions: from one part of each of `values` to a tensor of as many examples; all results
        have one shape and dtype. A part may be empty.
      groups: int32 `[B]` in [0, number of functions).
      values: `[B, ...]` each.

    Returns:
      `[B, ...]`, in the order of the batch.
    """
    count = len(functions)
    places = tf.dynamic_partition(tf.range(tf.size(groups)), groups, count)
    parts = [tf.dynamic_partition(value, groups, count) for value in values]
    results = [function(*arguments) for function, *arguments in zip(functions, *parts, strict=True)]
    stitched = tf.dynamic_stitch(places, results)
    return tf.ensure_shape(stitched, [groups.shape[0], *results[0].shape[1:]])

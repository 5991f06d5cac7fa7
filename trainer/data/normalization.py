"""Feature scaling, shared by training, evaluation and prediction."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.examples import Examples, Signature

_FIXED = {"unit": (0.0, 1 / 255), "half": (127.5, 1 / 127.5), "none": (0.0, 1.0)}


def normalize(features: tf.Tensor, signature: Signature) -> tf.Tensor:
    """(x − offset) · scale per channel or column, float32 `[B, ...]`."""
    offset = tf.constant(signature.offset, tf.float32)
    scale = tf.constant(signature.scale, tf.float32)
    return (tf.cast(features, tf.float32) - offset) * scale


def first_normalized(
    examples: Examples, signature: Signature, count: int
) -> Iterator[NDArray[np.float32]]:
    """The first examples of a split, at most `count`, as `normalize` scales them, in parts."""
    offset, scale = (np.asarray(each, np.float32) for each in (signature.offset, signature.scale))
    for chunk in examples.chunks():
        if count <= 0:
            return
        part = chunk[:count].astype(np.float32)
        count -= len(part)
        yield (part - offset) * scale


def normalization(
    kind: str, train: Examples, width: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Offset and scale per channel or column.

    Args:
      kind: unit, half, standard or none, as in `data.normalize`.
      train: the split that `standard` measures; a constant column keeps the scale 1.
      width: number of channels or columns.
    """
    if kind != "standard":
        offset, scale = _FIXED[kind]
        return (offset,) * width, (scale,) * width
    mean, deviation = _moments(train)
    return tuple(mean.tolist()), tuple((1 / np.where(deviation > 0, deviation, 1.0)).tolist())


def _moments(examples: Examples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation per channel or column, in two passes."""
    total, count = np.zeros(()), 0
    for chunk in examples.chunks():
        axes = tuple(range(chunk.ndim - 1))
        total = total + chunk.sum(axes, np.float64)
        count += chunk[..., 0].size
    mean = total / count
    squares = sum(
        np.square(chunk - mean).sum(tuple(range(chunk.ndim - 1))) for chunk in examples.chunks()
    )
    return mean, np.sqrt(squares / count)

"""Feature scaling, shared by training, evaluation and prediction."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.examples import Examples
from trainer.data.signature import Column, Signature
from trainer.data.tables.features import expand, input_width, scalar_positions

_FIXED = {"unit": (0.0, 1 / 255), "half": (127.5, 1 / 127.5), "none": (0.0, 1.0)}
Scaling = tuple[tuple[float, ...], tuple[float, ...]]


def normalize(features: tf.Tensor, signature: Signature) -> tf.Tensor:
    """The network's inputs `[B, *input_shape]` float32 of stored examples `[B, *stored_shape]`.

    (x − offset) · scale per channel of images, and per input of tables, see `tables.features`.
    """
    offset = tf.constant(signature.offset, tf.float32)
    scale = tf.constant(signature.scale, tf.float32)
    inputs = tf.cast(features, tf.float32)
    if signature.columns:
        inputs = expand(inputs, signature.columns)
    return (inputs - offset) * scale


def first_normalized(
    examples: Examples, signature: Signature, count: int
) -> Iterator[NDArray[np.float32]]:
    """The first examples of a split, at most `count`, as `normalize` scales them, in parts."""
    for chunk in examples.chunks():
        if count <= 0:
            return
        part = chunk[:count]
        count -= len(part)
        with tf.device("/cpu:0"):
            yield normalize(tf.constant(part), signature).numpy()


def image_normalization(kind: str, train: Examples, channels: int) -> Scaling:
    """Offset and scale per channel.

    Args:
      kind: unit, half, standard or none, as in `data.normalize`.
      train: the split that `standard` measures; a constant channel keeps the scale 1.
      channels: their number.
    """
    if kind != "standard":
        offset, scale = _FIXED[kind]
        return (offset,) * channels, (scale,) * channels
    return _standard(*_moments(train, lambda chunk: chunk))


def table_normalization(kind: str, train: Examples, columns: Sequence[Column]) -> Scaling:
    """Offset and scale per input of the network; those of indicators and categories are 0 and 1.

    Args:
      kind: standard or none, as in `data.normalize`.
      train: the split that `standard` measures; a constant column keeps the scale 1.
      columns: of the table.
    """
    numbers = len(scalar_positions(columns))
    others = input_width(columns) - numbers
    offset, scale = (0.0,) * numbers, (1.0,) * numbers
    if kind == "standard" and numbers:

        def scalars(chunk: NDArray[Any]) -> NDArray[Any]:
            with tf.device("/cpu:0"):
                values: NDArray[Any] = expand(tf.constant(chunk), columns)[:, :numbers].numpy()
            return values

        offset, scale = _standard(*_moments(train, scalars))
    return offset + (0.0,) * others, scale + (1.0,) * others


def target_normalization(targets: NDArray[np.float32]) -> Scaling:
    """Mean and 1 / standard deviation of each value of a regression `[N, values]`."""
    values = targets.astype(np.float64)
    return _standard(values.mean(axis=0), values.std(axis=0))


def _standard(mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> Scaling:
    return tuple(mean.tolist()), tuple((1 / np.where(deviation > 0, deviation, 1.0)).tolist())


def _moments(
    examples: Examples, values: Callable[[NDArray[Any]], NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation per channel or column of the values of chunks, in two passes."""
    total, count = np.zeros(()), 0
    for chunk in map(values, examples.chunks()):
        total = total + chunk.sum(tuple(range(chunk.ndim - 1)), np.float64)
        count += chunk[..., 0].size
    mean = total / count
    squares = sum(
        np.square(chunk - mean).sum(tuple(range(chunk.ndim - 1)))
        for chunk in map(values, examples.chunks())
    )
    return mean, np.sqrt(squares / count)

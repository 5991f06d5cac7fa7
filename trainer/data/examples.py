"""Examples with random access, their splits, and what prediction must know of them."""

import abc
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf

_CHUNK = 1024


class Examples(abc.ABC):
    """A fixed sequence of examples that can be read at any position.

    Order, batches and splits are functions of positions, so that they do not depend on where
    the examples are stored.
    """

    @abc.abstractmethod
    def __len__(self) -> int:
        """The number of examples."""

    @abc.abstractmethod
    def at(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The examples at positions; called inside a tf.data pipeline.

        Args:
          positions: int64 `[B]`, each in [0, len).

        Returns:
          Features `[B, ...]` as stored, and targets `[B, ...]`: int32 class numbers.
        """

    @abc.abstractmethod
    def select(self, positions: NDArray[np.int64]) -> "Examples":
        """The examples at `positions`, in this order, as a sequence of their own."""

    def chunks(self) -> Iterator[NDArray[Any]]:
        """The stored features of all examples in order, in parts of at most 1024."""
        for first in range(0, len(self), _CHUNK):
            with tf.device("/cpu:0"):
                positions = tf.range(first, min(first + _CHUNK, len(self)), dtype=tf.int64)
                features = self.at(positions)[0]
            yield features.numpy()


class InMemoryExamples(Examples):
    """Examples as two arrays."""

    def __init__(self, features: NDArray[Any], targets: NDArray[Any]):
        """Takes the arrays without copying them.

        Args:
          features: uint8 images `[N, H, W, C]` or float32 rows `[N, F]`.
          targets: int32 class numbers `[N]`.
        """
        self.features = features
        self.targets = targets

    def __len__(self) -> int:
        return len(self.targets)

    @functools.cached_property
    def _tensors(self) -> tuple[tf.Tensor, tf.Tensor]:
        # Batches are gathered on the host; a copy on an accelerator would not be used.
        with tf.init_scope(), tf.device("/cpu:0"):
            return tf.constant(self.features), tf.constant(self.targets)

    def at(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the base class."""
        features, targets = self._tensors
        return tf.gather(features, positions), tf.gather(targets, positions)

    def select(self, positions: NDArray[np.int64]) -> "InMemoryExamples":
        """See the base class."""
        return InMemoryExamples(self.features[positions], self.targets[positions])

    def chunks(self) -> Iterator[NDArray[Any]]:
        """See the base class; needs no copy."""
        for first in range(0, len(self), _CHUNK):
            yield self.features[first : first + _CHUNK]


@dataclasses.dataclass(frozen=True)
class Contents:
    """What tells whether a split has changed.

    Attributes:
      split: its name.
      examples: how many there are.
      sha256: digest of their features and targets in order.
    """

    split: str
    examples: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a run needs of its data set for prediction without the data, and to know it again.

    The network's input is (x − offset) · scale of a stored example x.

    Attributes:
      kind: image or table.
      stored_shape: shape of an example as stored, `(H, W, C)` or `(F,)`.
      input_shape: shape of the network's input.
      classes: names of the classes, in the order of their numbers.
      columns: headers of a table's features; empty for images.
      offset: per channel or column.
      scale: per channel or column.
      splits: the contents of the splits that training uses; empty until it does.
    """

    kind: str
    stored_shape: tuple[int, ...]
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    splits: tuple[Contents, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The content of signature.json."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> "Signature":
        """The signature of a signature.json; floats are restored exactly."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in mapping.items()
        }
        # Runs of an earlier version have no digests.
        splits = tuple(Contents(**split) for split in mapping.get("splits", ()))
        return cls(**{**values, "splits": splits})


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The splits `train`, `test` and, unless it is empty, `validation`."""

    splits: Mapping[str, Examples]
    signature: Signature


@dataclasses.dataclass(frozen=True)
class Source:
    """What a source provides, before examples are held out and normalized.

    Attributes:
      splits: at least `train`; `validation` and `test` where the source has them.
      classes: names of the classes, in the order of their numbers.
      columns: headers of a table's features; empty for images.
    """

    splits: Mapping[str, Examples]
    classes: tuple[str, ...]
    columns: tuple[str, ...] = ()

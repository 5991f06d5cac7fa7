"""Examples with random access, and their splits."""

import abc
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.signature import CLASSIFICATION, Column, Signature

_CHUNK = 1024
# Of a chunk of large examples.
_MOST_ELEMENTS = 2**24


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
          Features `[B, ...]` as stored, and targets: int32 class numbers `[B]`; of multi-label data
          float32 `[B, labels]`, 0 or 1; of a regression float32 `[B, values]` in their own unit.
        """

    @property
    @abc.abstractmethod
    def targets(self) -> NDArray[Any]:
        """The targets of all examples in order, as in `at`; they are always in memory."""

    @abc.abstractmethod
    def select(self, positions: NDArray[np.int64]) -> "Examples":
        """The examples at `positions`, in this order, as a sequence of their own."""

    def chunks(self) -> Iterator[NDArray[Any]]:
        """The stored features of all examples in order, in parts of at most 1024."""
        # As a graph, so that the images of a chunk are decoded in parallel.
        signature = [tf.TensorSpec([None], tf.int64)]

        @tf.function(input_signature=signature, autograph=False)
        def read(positions: tf.Tensor) -> tf.Tensor:
            with tf.device("/cpu:0"):
                return self.at(positions)[0]

        shape = read.get_concrete_function().output_shapes[1:]
        size = shape.num_elements() if shape.is_fully_defined() else _MOST_ELEMENTS
        part = max(1, min(_CHUNK, _MOST_ELEMENTS // size))
        for first in range(0, len(self), part):
            positions = np.arange(first, min(first + part, len(self)))
            yield read(positions).numpy()

    def identities(self) -> Iterator[bytes]:
        """Bytes per example, in order, that are equal if and only if the features are.

        Splits and digests are functions of them. They do not depend on where the examples are.
        """
        for chunk in self.chunks():
            for example in chunk:
                yield example.tobytes()

    def digest(self, targets: NDArray[Any] | None = None) -> str:
        """SHA-256 of all features and targets in order, or of `targets` in place of its own."""
        own = self.targets if targets is None else targets
        digest = hashlib.sha256()
        first = 0
        for chunk in self.chunks():
            for array in (chunk, own[first : first + len(chunk)]):
                digest.update(f"{array.dtype}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
            first += len(chunk)
        return digest.hexdigest()

    def changed_files(self) -> list[str]:
        """The files of examples that are not those that were read at the beginning, if any."""
        return []


def read_on_host(
    read: Callable[[NDArray[np.int64]], tuple[NDArray[Any], ...]],
    positions: tf.Tensor,
    *of_example: tf.TensorSpec,
) -> list[tf.Tensor]:
    """What a Python function returns for positions, in a pipeline and with static shapes.

    Args:
      read: a pure function of positions int64 `[B]`; returns arrays `[B, ...]`.
      positions: int64 `[B]`.
      of_example: type and shape of what each array has for one example.
    """
    types = [spec.dtype for spec in of_example]
    tensors: list[tf.Tensor] = tf.numpy_function(read, [positions], types, stateful=False)
    size = tf.convert_to_tensor(positions).shape[:1]
    for tensor, spec in zip(tensors, of_example, strict=True):
        tensor.set_shape(size.concatenate(spec.shape))
    return tensors


def digest_of(identities: NDArray[np.uint8], targets: NDArray[Any]) -> str:
    """SHA-256 of examples whose features have digests `[N, 16]`, and of their targets."""
    digest = hashlib.sha256(f"{targets.dtype}{targets.shape}".encode())
    digest.update(np.ascontiguousarray(identities).data)
    digest.update(np.ascontiguousarray(targets).data)
    return digest.hexdigest()


def in_memory(examples: Examples, identities: NDArray[np.uint8]) -> "InMemoryExamples":
    """The examples, read once, with the digests of what they were read from."""
    features: NDArray[Any] | None = None
    first = 0
    for chunk in examples.chunks():
        if features is None:
            features = np.empty((len(examples), *chunk.shape[1:]), chunk.dtype)
        features[first : first + len(chunk)] = chunk
        first += len(chunk)
    assert features is not None, "a split has examples"
    return InMemoryExamples(features, examples.targets, identities)


class InMemoryExamples(Examples):
    """Examples as arrays."""

    def __init__(
        self,
        features: NDArray[Any],
        targets: NDArray[Any],
        identities: NDArray[np.uint8] | None = None,
    ):
        """Takes the arrays without copying them.

        Args:
          features: uint8 images `[N, H, W, C]` or float32 rows `[N, columns]`.
          targets: as in `at`, `[N, ...]`.
          identities: digests `[N, 16]` of what the features were read from, which then take the
            place of their bytes in `identities` and `digest`.
        """
        self.features = features
        self._targets = targets
        self._identities = identities

    def __len__(self) -> int:
        return len(self._targets)

    @property
    def targets(self) -> NDArray[Any]:
        """See the base class."""
        return self._targets

    @functools.cached_property
    def _tensors(self) -> tuple[tf.Tensor, tf.Tensor]:
        # Batches are gathered on the host; a copy on an accelerator would not be used.
        with tf.init_scope(), tf.device("/cpu:0"):
            return tf.constant(self.features), tf.constant(self._targets)

    def at(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the base class."""
        features, targets = self._tensors
        return tf.gather(features, positions), tf.gather(targets, positions)

    def select(self, positions: NDArray[np.int64]) -> "InMemoryExamples":
        """See the base class."""
        identities = None if self._identities is None else self._identities[positions]
        return InMemoryExamples(self.features[positions], self.targets[positions], identities)

    def identities(self) -> Iterator[bytes]:
        """See the base class."""
        if self._identities is None:
            return super().identities()
        return map(bytes, self._identities)

    def digest(self, targets: NDArray[Any] | None = None) -> str:
        """See the base class; of the identities instead of the features if there are any."""
        if self._identities is None:
            return super().digest(targets)
        return digest_of(self._identities, self.targets if targets is None else targets)

    def chunks(self) -> Iterator[NDArray[Any]]:
        """See the base class; needs no copy."""
        for first in range(0, len(self), _CHUNK):
            yield self.features[first : first + _CHUNK]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The splits `train`, `test` and, unless it is empty, `validation`.

    `skipped` is as in `Source`, `summary` as in `Encoded`.
    """

    splits: Mapping[str, Examples]
    signature: Signature
    skipped: tuple[tuple[str, str], ...] = ()
    summary: str = ""


@dataclasses.dataclass(frozen=True)
class Encoded:
    """The splits of a table after encoding.

    Attributes:
      splits: float32 rows `[columns]`.
      columns: of the rows.
      skipped: of each row that was left out, which and why.
      summary: lines that say what was inferred of the columns; empty if they were given.
    """

    splits: dict[str, Examples]
    columns: tuple[Column, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    summary: str = ""


# From the rows of a table's splits, and the columns of a run (none: they are measured on the
# training split), to encoded examples of the same splits.
Encode = Callable[[dict[str, Examples], Sequence[Column]], Encoded]


@dataclasses.dataclass(frozen=True)
class Source:
    """What a source provides, before examples are held out and normalized.

    Attributes:
      splits: at least `train`; `validation` and `test` where the source has them.
      classes: names of the classes, labels or values, see `Signature`.
      columns: names of the numbers of float32 rows `[columns]`; empty for images.
      target: classification, multi_label or regression.
      encode: of a table of cells, which cannot be read by `at` before.
      groups: bytes per training example: those of equal bytes are held out together.
      times: number per training example: the last ones are held out.
      skipped: of each broken input that was left out, what and why.
    """

    splits: Mapping[str, Examples]
    classes: tuple[str, ...]
    columns: tuple[str, ...] = ()
    target: str = CLASSIFICATION
    encode: Encode | None = None
    groups: Sequence[bytes] | None = None
    times: NDArray[np.float64] | None = None
    skipped: tuple[tuple[str, str], ...] = ()

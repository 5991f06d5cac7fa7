"""Examples that are read from records for each batch."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.examples import Examples, digest_of, read_on_host
from trainer.data.records.index import RecordIndex

# From payloads, string `[B]`, and a number per record, int32 `[B]`, to features `[B, ...]`.
Decode = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class RecordExamples(Examples):
    """Examples in TFRecord shards; only where they are, and their targets, is in memory."""

    def __init__(
        self,
        index: RecordIndex,
        targets: NDArray[Any],
        codes: NDArray[np.int8],
        decode: Decode,
        shape: Sequence[int],
    ):
        """Takes what reading and decoding needs.

        Args:
          index: of the records, N in all.
          targets: see `Examples`, `[N, ...]`.
          codes: what `decode` must know of each record, `[N]`.
          decode: in TensorFlow operations.
          shape: of the features of an example.
        """
        self._index = index
        self._targets = targets
        self._codes = codes
        self._decode = decode
        self._shape = tuple(shape)
        # Without compilation each operation would be called from Python, example by example.
        self._compiled = tf.function(
            decode,
            input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.int32)],
        )

    def __len__(self) -> int:
        return len(self._index)

    @property
    def targets(self) -> NDArray[Any]:
        """See the base class."""
        return self._targets

    def at(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the base class."""
        target = tf.TensorSpec(self._targets.shape[1:], self._targets.dtype)
        payloads, codes, targets = read_on_host(
            self._read, positions, tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32), target
        )
        features = self._compiled(payloads, codes)
        features.set_shape((payloads.shape[0], *self._shape))
        return features, targets

    def _read(
        self, positions: NDArray[np.int64]
    ) -> tuple[NDArray[np.object_], NDArray[np.int32], NDArray[Any]]:
        index = self._index
        payloads = index.read(positions)
        return (
            np.array(payloads, object),
            self._codes[positions].astype(np.int32),
            self._targets[positions],
        )

    def select(self, positions: NDArray[np.int64]) -> "RecordExamples":
        """See the base class."""
        return RecordExamples(
            self._index.select(positions),
            self._targets[positions],
            self._codes[positions],
            self._decode,
            self._shape,
        )

    def identities(self) -> Iterator[bytes]:
        """See the base class."""
        return map(bytes, self._index.identities)

    def digest(self, targets: NDArray[Any] | None = None) -> str:
        """See the base class; reads no record."""
        own = self._targets if targets is None else targets
        return digest_of(self._index.identities, own)

    def changed_files(self) -> list[str]:
        """See the base class."""
        return [shard.path for shard in self._index.shards if shard.is_changed()]

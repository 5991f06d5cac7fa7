"""An index of TFRecord shards: where each record is, and a digest of it.

A record is its length (8 bytes), a checksum of the length (4), the payload and a checksum of the
payload (4). TensorFlow's own reader checks both checksums while the index is built.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data import index_cache
from trainer.errors import UserError

_VERSION = "1"
_HEADER, _FOOTER = 12, 4
_BATCH = 1024
_DIGEST = 16
_COMPRESSED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda")


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of records, and what tells whether it has changed.

    Attributes:
      path: local or remote.
      size: bytes.
      modified: time of the last change, nanoseconds.
    """

    path: str
    size: int
    modified: int

    @classmethod
    def of(cls, path: str) -> "Shard":
        """The shard as it is now."""
        found = tf.io.gfile.stat(path)
        return cls(path, found.length, found.mtime_nsec)

    def is_changed(self) -> bool:
        """Whether the file is not the one that was indexed."""
        return not tf.io.gfile.exists(self.path) or Shard.of(self.path) != self


@dataclasses.dataclass(frozen=True)
class RecordIndex:
    """Where the records of several shards are, in order.

    Attributes:
      shards: the files.
      files: number of the shard of each record, int32 `[N]`.
      numbers: of each record in its shard, from 0, int64 `[N]`.
      offsets: of the first byte of each payload, int64 `[N]`.
      lengths: of each payload, int64 `[N]`.
      identities: digests of the payloads, uint8 `[N, 16]`.
      damaged: for each shard why it cannot be read beyond its last record; "" if it is whole.
    """

    shards: tuple[Shard, ...]
    files: NDArray[np.int32]
    numbers: NDArray[np.int64]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    identities: NDArray[np.uint8]
    damaged: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)

    def where(self, record: int | np.integer) -> str:
        """The place of a record, for messages."""
        return f"{self.shards[self.files[record]].path}, record {self.numbers[record]}"

    def select(self, records: NDArray[np.integer]) -> "RecordIndex":
        """The index of some of the records, in this order."""
        return dataclasses.replace(
            self,
            files=self.files[records],
            numbers=self.numbers[records],
            offsets=self.offsets[records],
            lengths=self.lengths[records],
            identities=self.identities[records],
        )


def index_shards(paths: Sequence[str]) -> RecordIndex:
    """The index of shards, from the cache if they have not changed since it was built.

    Raises:
      UserError: if a shard is compressed, or is no file of records.
    """
    shards = tuple(map(Shard.of, paths))
    parts = [_index_shard(shard) for shard in shards]
    counts = [len(part["offsets"]) for part in parts]
    return RecordIndex(
        shards,
        np.repeat(np.arange(len(shards), dtype=np.int32), counts),
        np.concatenate([np.arange(count) for count in counts]),
        np.concatenate([part["offsets"] for part in parts]),
        np.concatenate([part["lengths"] for part in parts]),
        np.concatenate([part["identities"] for part in parts]),
        tuple(str(part["damaged"]) for part in parts),
    )


def _index_shard(shard: Shard) -> index_cache.Arrays:
    key = ("records", _VERSION, shard.path, str(shard.size), str(shard.modified))
    return index_cache.cached(key, lambda: _measure(shard), shard.modified)


def _measure(shard: Shard) -> index_cache.Arrays:
    lengths: list[int] = []
    digests: list[bytes] = []
    damaged = ""
    try:
        for record in _records(shard.path, _BATCH):
            lengths.append(len(record))
            digests.append(hashlib.blake2b(record, digest_size=_DIGEST).digest())
    except tf.errors.DataLossError:
        damaged = "is damaged or truncated"
        # A batch is lost with its damaged record: those before it are read one by one.
        try:
            for record in _records(shard.path, 1, skip=len(lengths)):
                lengths.append(len(record))
                digests.append(hashlib.blake2b(record, digest_size=_DIGEST).digest())
        except tf.errors.DataLossError:
            if not lengths:
                raise _no_records(shard.path) from None
    array = np.array(lengths, np.int64)
    ends = np.cumsum(array + _HEADER + _FOOTER)
    return {
        "lengths": array,
        "offsets": ends - array - _FOOTER,
        "identities": np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _DIGEST),
        "damaged": np.array(damaged),
    }


def _records(path: str, batch: int, skip: int = 0) -> Iterator[bytes]:
    """The payloads of a shard, read and checked in order."""
    dataset = tf.data.TFRecordDataset(path, buffer_size=2**20).skip(skip)
    for records in dataset.batch(batch).as_numpy_iterator():
        yield from records


def _no_records(path: str) -> UserError:
    with tf.io.gfile.GFile(path, "rb") as file:
        start = file.read(2)
    if start in _COMPRESSED:
        return UserError(
            f"{path} is compressed, so that no record of it can be read on its own; decompress it"
        )
    return UserError(f"{path} is not a TFRecord file, or its first record is damaged; replace it")

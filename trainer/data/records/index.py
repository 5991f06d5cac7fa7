"""An index of TFRecord shards: where each record is, and a digest of it.

A record is its length (8 bytes), a checksum of the length (4), the payload and a checksum of the
payload (4). TensorFlow's own reader checks both checksums while the index is built.
"""

import dataclasses
import hashlib
from array import array
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data import index_cache
from trainer.data.reading_progress import ReadingProgress
from trainer.data.records.shard import Shard, read_ranges
from trainer.errors import UserError

_VERSION = "2"
_HEADER, _FOOTER = 12, 4
_BATCH = 1024
_DIGEST = 16
_COMPRESSED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda")


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
      damaged: for each shard why it cannot be read, or not beyond a record; "" if it is whole.
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

    def read(self, records: NDArray[np.integer] | slice) -> list[bytes]:
        """The payloads of some of the records, in this order; see `read_ranges`."""
        return read_ranges(
            self.shards, self.files[records], self.offsets[records], self.lengths[records]
        )

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
      UserError: if a shard is compressed.
    """
    shards = tuple(map(Shard.of, paths))
    progress = ReadingProgress("indexing")
    parts = [_index_shard(shard, progress) for shard in shards]
    progress.end()
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


def _index_shard(shard: Shard, progress: ReadingProgress) -> index_cache.Arrays:
    key = ("records", _VERSION, shard.path, str(shard.size), str(shard.modified))
    return index_cache.cached(key, lambda: _measure(shard, progress), shard.modified)


def _measure(shard: Shard, progress: ReadingProgress) -> index_cache.Arrays:
    lengths, digests = array("q"), bytearray()
    damaged = ""

    def add(batches: Iterator[NDArray[np.object_]]) -> None:
        for batch in batches:
            for record in batch:
                lengths.append(len(record))
                digests.extend(hashlib.blake2b(record, digest_size=_DIGEST).digest())
            progress.add(len(batch))

    try:
        add(_records(shard.path, _BATCH))
    except tf.errors.DataLossError:
        # A batch is lost with its damaged record: those before it are read one by one.
        try:
            add(_records(shard.path, 1, skip=len(lengths)))
        except tf.errors.DataLossError:
            damaged = f"is damaged or truncated at record {len(lengths)}"
    if not lengths:
        damaged = _why_no_records(shard.path)
    sizes = np.array(lengths, np.int64)
    ends = np.cumsum(sizes + _HEADER + _FOOTER)
    return {
        "lengths": sizes,
        "offsets": ends - sizes - _FOOTER,
        "identities": np.array(digests, np.uint8).reshape(-1, _DIGEST),
        "damaged": np.array(damaged),
    }


def _records(path: str, batch: int, skip: int = 0) -> Iterator[NDArray[np.object_]]:
    """The payloads of a shard in batches, read and checked in order."""
    dataset = tf.data.TFRecordDataset(path, buffer_size=2**20).skip(skip)
    yield from dataset.batch(batch).as_numpy_iterator()


def _why_no_records(path: str) -> str:
    with tf.io.gfile.GFile(path, "rb") as file:
        start = file.read(2)
    if not start:
        return "is empty"
    if start in _COMPRESSED:
        raise UserError(
            f"{path} is compressed, so that no record of it can be read on its own; decompress it"
        )
    return "is not a TFRecord file, or is damaged or truncated at record 0"

"""What is in the records of an index: their labels, and what decoding must know of their images."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data import index_cache
from trainer.data.image_check import check_images
from trainer.data.records.index import RecordIndex
from trainer.data.records.ranges import read_ranges
from trainer.errors import UserError, unknown_name

_VERSION = "1"
_CHUNK = 512
# TensorFlow's message has bytes of the record, which need not be text.
_UNPARSABLE = (tf.errors.InvalidArgumentError, UnicodeDecodeError)
_LISTS = {"int64_list": tf.int64, "float_list": tf.float32, "bytes_list": tf.string}


@dataclasses.dataclass(frozen=True)
class Contents:
    """The labels of N records, and the codes and sizes of their images.

    Attributes:
      labels: the values of all labels one after the other: int64, float32 or bytes.
      counts: numbers of values of each label, int64 `[N]`.
      codes: see `decode_any`, int8 `[N]`; 0 if there are no images.
      sizes: height and width of each image, int32 `[N, 2]`.
      errors: why a record cannot be used, text `[N]`; "" if it can.
      column_types: int64 or float32 of each column.
    """

    labels: NDArray[Any]
    counts: NDArray[np.int64]
    codes: NDArray[np.int8]
    sizes: NDArray[np.int32]
    errors: NDArray[np.str_]
    column_types: tuple[str, ...]

    def select(self, records: NDArray[np.integer]) -> "Contents":
        """The contents of some of the records, in this order."""
        starts = np.cumsum(self.counts) - self.counts
        places = [
            np.arange(starts[record], starts[record] + self.counts[record]) for record in records
        ]
        return Contents(
            self.labels[np.concatenate(places)],
            self.counts[records],
            self.codes[records],
            self.sizes[records],
            self.errors[records],
            self.column_types,
        )


def read_contents(index: RecordIndex, image: str, columns: Sequence[str], label: str) -> Contents:
    """Reads every record once, from the cache if the shards have not changed since.

    Args:
      index: of the records.
      image: feature with the encoded image; "" for none.
      columns: features of one number each.
      label: feature with the target.

    Raises:
      UserError: if the first record lacks a feature, or one has another type.
    """
    types = _types(index, image, columns, label)
    shards = [f"{shard.path}\n{shard.size}\n{shard.modified}" for shard in index.shards]
    key = ("contents", _VERSION, image, label, repr(tuple(columns)), *shards)
    newest = max(shard.modified for shard in index.shards)
    arrays = index_cache.cached(key, lambda: _measure(index, types, image, label), newest)
    column_types = tuple(types[name].name for name in columns)
    return Contents(**arrays, column_types=column_types)


def _types(
    index: RecordIndex, image: str, columns: Sequence[str], label: str
) -> dict[str, tf.DType]:
    """The type of each feature in the first record."""
    (payload,) = next(_payloads(index, 1))
    where = index.where(0)
    try:
        features = tf.train.Example.FromString(payload).features.feature
    # protobuf's DecodeError, which has no public name in every version.
    except Exception as error:
        raise UserError(f"{where} is not a tf.train.Example ({type(error).__name__})") from error
    types = {}
    for name in filter(None, (image, *columns, label)):
        if name not in features:
            raise unknown_name(f"feature of {where}", name, features)
        kind = features[name].WhichOneof("kind")
        if kind is None:
            raise UserError(f"{where}, feature {name!r} must not be empty")
        types[name] = _LISTS[kind]
    if image and types[image] != tf.string:
        raise UserError(
            f"{where}, feature {image!r} must be the bytes of an encoded image. Received: "
            f"{types[image].name}"
        )
    for name in columns:
        if types[name] == tf.string:
            raise UserError(f"{where}, feature {name!r} must be a number. Received: bytes")
    return types


def _payloads(index: RecordIndex, chunk: int) -> Iterator[list[bytes]]:
    paths = [shard.path for shard in index.shards]
    for first in range(0, len(index), chunk):
        part = slice(first, first + chunk)
        yield read_ranges(paths, index.files[part], index.offsets[part], index.lengths[part])


def _measure(
    index: RecordIndex, types: dict[str, tf.DType], image: str, label: str
) -> index_cache.Arrays:
    spec = {name: tf.io.RaggedFeature(dtype) for name, dtype in types.items()}
    labels: list[NDArray[Any]] = []
    counts, codes, sizes, errors = [], [], [], []
    first = 0
    for payloads in _payloads(index, _CHUNK):
        where = [index.where(first + number) for number in range(len(payloads))]
        first += len(payloads)
        parsed, reasons = _parse(payloads, spec, where)
        for name in types:
            lengths = parsed[name].row_lengths().numpy()
            if name != label:
                for number in np.flatnonzero(lengths != 1):
                    reasons[number] = reasons[number] or (
                        f"{where[number]}, feature {name!r} must have one value. "
                        f"Received: {lengths[number]}"
                    )
        values = parsed[label]
        labels.append(values.flat_values.numpy())
        counts.append(values.row_lengths().numpy())
        if image:
            contents = [row[0] if len(row) == 1 else b"" for row in parsed[image].to_list()]
            checked = check_images(contents, where)
            codes.append(checked.codes)
            sizes.append(checked.sizes)
            reasons = [
                reason or error for reason, error in zip(reasons, checked.errors, strict=True)
            ]
        else:
            codes.append(np.zeros(len(payloads), np.int8))
            sizes.append(np.zeros((len(payloads), 2), np.int32))
        errors += reasons
    joined = np.concatenate(labels)
    # Arrays of objects cannot be kept in files.
    return {
        "labels": joined.astype(np.bytes_) if joined.dtype == object else joined,
        "counts": np.concatenate(counts),
        "codes": np.concatenate(codes),
        "sizes": np.concatenate(sizes),
        "errors": np.array(errors, np.str_),
    }


def _parse(
    payloads: Sequence[bytes], spec: dict[str, tf.io.RaggedFeature], where: Sequence[str]
) -> tuple[dict[str, tf.RaggedTensor], list[str]]:
    """The features of records, and why one cannot be parsed; such a record has no values."""
    try:
        return tf.io.parse_example(payloads, spec), [""] * len(payloads)
    except _UNPARSABLE:
        pass
    reasons, usable = [], []
    for payload, place in zip(payloads, where, strict=True):
        try:
            tf.io.parse_example([payload], spec)
        except _UNPARSABLE:
            reasons.append(
                f"{place} is not a tf.train.Example with the types of features of the first record"
            )
            usable.append(b"")
        else:
            reasons.append("")
            usable.append(payload)
    return tf.io.parse_example(usable, spec), reasons

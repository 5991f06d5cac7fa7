"""What is in the records of an index: their labels, and what decoding must know of their images."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data import index_cache
from trainer.data.image_check import check_images
from trainer.data.reading_progress import ReadingProgress
from trainer.data.records.index import RecordIndex
from trainer.errors import UserError, unknown_name

_VERSION = "2"
_CHUNK = 512
# Records among which one must have all features.
_MOST_TRIED = 1000
# TensorFlow's message has bytes of the record, which need not be text.
_UNPARSABLE = (tf.errors.InvalidArgumentError, UnicodeDecodeError)
_LISTS = {"int64_list": tf.int64, "float_list": tf.float32, "bytes_list": tf.string}
_Types = dict[str, tf.DType]


@dataclasses.dataclass(frozen=True)
class RecordContents:
    """The labels of N records, and the codes and sizes of their images.

    Attributes:
      labels: the values of all labels one after the other, int64 or float32.
      names: of the classes whose numbers are in `labels`, in no order; None: labels are numbers.
      counts: numbers of values of each label, int64 `[N]`.
      codes: see `decode_any`, int8 `[N]`; 0 if there are no images.
      sizes: height and width of each image, int32 `[N, 2]`.
      broken: numbers of the records that cannot be used, int64 `[M]`.
      reasons: why, text `[M]`.
      column_types: int64 or float32 of each column.
    """

    labels: NDArray[Any]
    names: tuple[str, ...] | None
    counts: NDArray[np.int64]
    codes: NDArray[np.int8]
    sizes: NDArray[np.int32]
    broken: NDArray[np.int64]
    reasons: NDArray[np.str_]
    column_types: tuple[str, ...]

    @property
    def records(self) -> NDArray[np.int64]:
        """The number of the record of each value in `labels`."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def select(self, records: NDArray[np.integer]) -> "RecordContents":
        """The contents of some of the records, of which none is broken, in this order."""
        counts = self.counts[records]
        old_starts = (np.cumsum(self.counts) - self.counts)[records]
        shifts = old_starts - (np.cumsum(counts) - counts)
        return dataclasses.replace(
            self,
            labels=self.labels[np.arange(counts.sum()) + np.repeat(shifts, counts)],
            counts=counts,
            codes=self.codes[records],
            sizes=self.sizes[records],
            broken=self.broken[:0],
            reasons=self.reasons[:0],
        )


def read_contents(
    index: RecordIndex, image: str, columns: Sequence[str], label: str
) -> RecordContents:
    """Reads every record once, from the cache if the shards have not changed since.

    Args:
      index: of the records.
      image: feature with the encoded image; "" for none.
      columns: features of one number each.
      label: feature with the target.

    Raises:
      UserError: if none of the first records has all features with usable types.
    """
    types = _types(index, image, columns, label)
    shards = [f"{shard.path}\n{shard.size}\n{shard.modified}" for shard in index.shards]
    key = ("contents", _VERSION, image, label, repr(tuple(columns)), *shards)
    newest = max(shard.modified for shard in index.shards)
    arrays = dict(index_cache.cached(key, lambda: _measure(index, types, image, label), newest))
    names = arrays.pop("names").tolist()
    return RecordContents(
        **arrays,
        names=tuple(names) if types[label] == tf.string else None,
        column_types=tuple(types[name].name for name in columns),
    )


def _types(index: RecordIndex, image: str, columns: Sequence[str], label: str) -> _Types:
    """The type of each feature in the first record that has all of them."""
    first_error: UserError | None = None
    for record in range(min(len(index), _MOST_TRIED)):
        (payload,) = index.read(slice(record, record + 1))
        try:
            return _types_in(payload, index.where(record), image, columns, label)
        except UserError as error:
            first_error = first_error or error
    assert first_error is not None, "an index has records"
    raise first_error


def _types_in(payload: bytes, where: str, image: str, columns: Sequence[str], label: str) -> _Types:
    try:
        features = tf.train.Example.FromString(payload).features.feature
    # protobuf's DecodeError, which has no public name in every version.
    except Exception as error:
        raise UserError(f"{where} is not a tf.train.Example ({type(error).__name__})") from error
    if not features:
        raise UserError(f"{where} is not a tf.train.Example with features")
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


def _measure(index: RecordIndex, types: _Types, image: str, label: str) -> index_cache.Arrays:
    spec = {name: tf.io.RaggedFeature(dtype) for name, dtype in types.items()}
    labels: list[NDArray[Any]] = []
    counts, codes, sizes = [], [], []
    broken: dict[int, str] = {}
    names: dict[bytes, int] = {}
    progress = ReadingProgress("reading labels" + " and decoding images" * bool(image))
    for first in range(0, len(index), _CHUNK):
        payloads = index.read(slice(first, first + _CHUNK))
        where = [index.where(first + number) for number in range(len(payloads))]
        parsed, reasons = _parse(payloads, spec, where)
        for name in types:
            if name != label:
                reasons = _wrong_values(name, parsed[name], where) | reasons
        values = parsed[label].flat_values.numpy()
        labels.append(_numbered(values, names) if types[label] == tf.string else values)
        counts.append(parsed[label].row_lengths().numpy())
        checked_codes = np.zeros(len(payloads), np.int8)
        checked_sizes = np.zeros((len(payloads), 2), np.int32)
        if image:
            contents = [row[0] if len(row) == 1 else b"" for row in parsed[image].to_list()]
            checked = check_images(contents, where)
            checked_codes, checked_sizes = checked.codes, checked.sizes
            reasons = {n: why for n, why in enumerate(checked.errors) if why} | reasons
        codes.append(checked_codes)
        sizes.append(checked_sizes)
        broken |= {first + number: reasons[number] for number in sorted(reasons)}
        progress.add(len(payloads))
    progress.end()
    return {
        "labels": np.concatenate(labels),
        "names": np.array([name.decode("utf-8", "backslashreplace") for name in names], np.str_),
        "counts": np.concatenate(counts),
        "codes": np.concatenate(codes),
        "sizes": np.concatenate(sizes),
        "broken": np.array(list(broken), np.int64),
        "reasons": np.array(list(broken.values()), np.str_),
    }


def _numbered(values: NDArray[np.object_], names: dict[bytes, int]) -> NDArray[np.int64]:
    """The numbers of names; new ones are added."""
    return np.array([names.setdefault(value, len(names)) for value in values], np.int64)


def _wrong_values(name: str, values: tf.RaggedTensor, where: Sequence[str]) -> dict[int, str]:
    """Why records do not have one finite value, or one image, by their numbers in the chunk."""
    lengths = values.row_lengths().numpy()
    wrong = {
        number: f"{where[number]}, feature {name!r} must have one value. "
        f"Received: {lengths[number]}"
        for number in np.flatnonzero(lengths != 1).tolist()
    }
    if values.dtype == tf.float32:
        numbers = values.flat_values.numpy()
        records = np.repeat(np.arange(len(lengths)), lengths)
        for place in np.flatnonzero(~np.isfinite(numbers)):
            number = int(records[place])
            wrong.setdefault(
                number,
                f"{where[number]}, feature {name!r} must be finite. Received: {numbers[place]}",
            )
    return wrong


def _parse(
    payloads: Sequence[bytes], spec: dict[str, tf.io.RaggedFeature], where: Sequence[str]
) -> tuple[dict[str, tf.RaggedTensor], dict[int, str]]:
    """The features of records, and why some cannot be parsed, which have no values then."""
    try:
        return tf.io.parse_example(payloads, spec), {}
    except _UNPARSABLE:
        pass
    reasons, usable = {}, list(payloads)
    for number, payload in enumerate(payloads):
        try:
            tf.io.parse_example([payload], spec)
        except _UNPARSABLE:
            reasons[number] = (
                f"{where[number]} is not a tf.train.Example with the types of features of the "
                "first record"
            )
            usable[number] = b""
    return tf.io.parse_example(usable, spec), reasons

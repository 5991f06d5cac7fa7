"""`tfrecord`: shards of tf.train.Example records with an encoded image or columns of numbers."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from trainer.compat.keras import tf
from trainer.config.data import TFRecord
from trainer.data.broken_inputs import fail_or_skip, report_skipped
from trainer.data.decoded_cache import keep_decoded
from trainer.data.decoding import decode_batch, image_memory
from trainer.data.examples import Examples, Source, in_memory
from trainer.data.image_check import common_size
from trainer.data.records.contents import RecordContents, read_contents
from trainer.data.records.examples import Decode, RecordExamples
from trainer.data.records.index import RecordIndex, index_shards
from trainer.data.records.labels import label_targets, meaning, wrong_labels
from trainer.data.residence import is_on_disk
from trainer.data.targets import Targets
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class _Split:
    """The records of a split that can be used."""

    index: RecordIndex
    contents: RecordContents


def load(config: TFRecord, data_dir: str) -> Source:
    """Indexes the shards, and reads the records now or for each batch, see `data.residence`.

    Shards are in the order of their names.

    Raises:
      UserError: if no shard matches, one is damaged or compressed, a record lacks a feature, or an
        image or a label cannot be used.
    """
    del data_dir
    paths = {"train": find_shards(config.path, "path")}
    for name, path in (("validation", config.validation_path), ("test", config.test_path)):
        if path:
            paths[name] = find_shards(path, f"{name}_path")
    _check_disjoint(paths)
    skipped: list[tuple[str, str]] = []
    splits = {name: _read(config, each, skipped) for name, each in paths.items()}
    read_as = meaning(config, splits["train"].contents, splits["train"].index)
    targets = {}
    for name, split in splits.items():
        wrong = wrong_labels(config, split.contents, split.index, read_as)
        splits[name] = split = _without(config, split, wrong, skipped)
        targets[name] = label_targets(config, split.contents, split.index, read_as)
        # The names of the training split are those of the others.
        read_as = dataclasses.replace(read_as, classes=targets["train"].classes)
    report_skipped(skipped)
    shape = _shape(config, splits)
    total = sum(len(split.index) for split in splits.values())
    needed = image_memory(total, shape) if config.image else 8 * total * len(config.columns)
    on_disk = is_on_disk(config.residence, needed, config.path)
    examples = {
        name: _examples(config, split, targets[name], shape, on_disk)
        for name, split in splits.items()
    }
    return Source(
        examples,
        targets["train"].classes,
        config.columns,
        target=targets["train"].kind,
        skipped=tuple(skipped),
    )


def _check_disjoint(paths: dict[str, list[str]]) -> None:
    split_of: dict[str, str] = {}
    for name, shards in paths.items():
        for shard in shards:
            if (other := split_of.setdefault(shard, name)) != name:
                raise UserError(
                    f"the {name} and the {other} shards must be different files. Received: {shard}"
                )


def find_shards(path: str, field: str) -> list[str]:
    """The files of a path, a folder or a pattern, in the order of their names.

    Raises:
      UserError: if there are none; `field` is the name of the setting.
    """
    if not path:
        raise UserError(
            f"data.{field} is required: a TFRecord file, a folder or a pattern such as 'train-*'"
        )
    pattern = f"{path.rstrip('/')}/*" if tf.io.gfile.isdir(path) else path
    try:
        found = tf.io.gfile.glob(pattern)
    except tf.errors.OpError as error:
        raise UserError(f"data.{field} {path!r} cannot be read: {error.message}") from error
    shards = sorted(
        each
        for each in found
        if not tf.io.gfile.isdir(each) and not each.rpartition("/")[2].startswith((".", "_"))
    )
    if not shards:
        raise UserError(f"data.{field} must match TFRecord files. Received: {path!r}")
    return shards


def _read(config: TFRecord, paths: Sequence[str], skipped: list[tuple[str, str]]) -> _Split:
    """The records of shards that can be used; appends those that cannot to `skipped`."""
    index = index_shards(paths)
    for shard, damaged in zip(index.shards, index.damaged, strict=True):
        if damaged:
            fail_or_skip(config.on_error, skipped, shard.path, f"{shard.path} {damaged}")
    if not len(index):
        raise UserError(f"there is no record in {', '.join(paths)}")
    contents = read_contents(index, config.image, config.columns, config.label)
    reasons = map(str, contents.reasons)
    broken = dict(zip(contents.broken.tolist(), reasons, strict=True))
    return _without(config, _Split(index, contents), broken, skipped)


def _without(
    config: TFRecord, split: _Split, wrong: dict[int, str], skipped: list[tuple[str, str]]
) -> _Split:
    """The split without some records; of each its number and the reason."""
    if not wrong:
        return split
    for record, reason in wrong.items():
        fail_or_skip(config.on_error, skipped, split.index.where(record), reason)
    usable = np.delete(np.arange(len(split.index)), list(wrong))
    if not len(usable):
        raise UserError(f"no record can be used; the first: {next(iter(wrong.values()))}")
    return _Split(split.index.select(usable), split.contents.select(usable))


def _shape(config: TFRecord, splits: dict[str, _Split]) -> tuple[int, ...]:
    """The shape of the features of an example.

    Raises:
      UserError: if their sizes differ and `image_size` is not set.
    """
    if not config.image:
        return (len(config.columns),)
    if config.image_size:
        return (*config.image_size, config.channels)
    sizes = [(each.contents.sizes, each.index.where) for each in splits.values()]
    return (*common_size(sizes), config.channels)


def _image_decode(config: TFRecord, shape: tuple[int, ...]) -> Decode:
    spec = {config.image: tf.io.FixedLenFeature([], tf.string)}

    def decode(payloads: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        images = tf.io.parse_example(payloads, spec)[config.image]
        return decode_batch(images, codes, shape)

    return decode


def _columns_decode(config: TFRecord, types: Sequence[str]) -> Decode:
    spec = {
        name: tf.io.FixedLenFeature([], tf.as_dtype(dtype))
        for name, dtype in zip(config.columns, types, strict=True)
    }

    def decode(payloads: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        del codes
        parsed = tf.io.parse_example(payloads, spec)
        return tf.stack([tf.cast(parsed[name], tf.float32) for name in config.columns], axis=1)

    return decode


def _examples(
    config: TFRecord, split: _Split, targets: Targets, shape: tuple[int, ...], on_disk: bool
) -> Examples:
    decode = (
        _image_decode(config, shape)
        if config.image
        else _columns_decode(config, split.contents.column_types)
    )
    examples = RecordExamples(split.index, targets.values, split.contents.codes, decode, shape)
    if not on_disk:
        return in_memory(examples, split.index.identities)
    return keep_decoded(examples, shape, config.image) if config.decoded_cache else examples

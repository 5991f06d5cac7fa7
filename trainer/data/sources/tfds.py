"""`tfds`: a prepared TensorFlow Datasets image classification data set."""

import difflib
import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.data import TFDS
from trainer.data import index_cache
from trainer.data.decoding import image_memory, resize
from trainer.data.examples import Examples, InMemoryExamples, Source, in_memory
from trainer.data.records.examples import Decode, RecordExamples
from trainer.data.records.index import RecordIndex, index_shards
from trainer.data.residence import is_on_disk
from trainer.errors import UserError
from trainer.io.memory import check_fits

# A configuration and a version may follow. A namespace would be downloaded.
_NAME = r"[A-Za-z]\w*(/[\w.+-]+)?(:[\d.*]+)?"
_READ_BATCH = 1024
_VERSION = "1"


def load(config: TFDS, data_dir: str) -> Source:
    """Reads a prepared data set, now or for each batch; downloads nothing.

    Args:
      config: names the data set and its splits; a split may be a slice such as `train[:90%]`.
      data_dir: directory of prepared data sets; empty: TFDS_DATA_DIR or TFDS' default.

    Raises:
      UserError: if the data set or a split is missing, splits overlap, or it is not for image
        classification.
    """
    # TFDS reads the variable only once, when it is imported.
    where = data_dir or os.environ.get("TFDS_DATA_DIR", "")
    info = _info(config.name, where)
    image_key, label_key = _keys(config.name, info)
    expressions = {"train": config.train_split, "test": config.test_split}
    if config.validation_split:
        expressions["validation"] = config.validation_split
    _check_splits(expressions, info)
    kind = info.file_format.value
    if kind != "tfrecord" and config.residence == "disk":
        raise UserError(
            f"data.residence=disk needs data set {config.name!r} with file_format='tfrecord'; "
            f"prepare it so, or set data.residence=memory. Received: {kind}"
        )
    shape = _shape(config, info.features[image_key])
    decode = _decode(info, image_key, shape)
    total = sum(info.splits[each].num_examples for each in expressions.values())
    needed = image_memory(total, shape)
    if kind != "tfrecord":
        check_fits(needed, "use a smaller data.image_size", config.name)
    remedy = ", or a smaller data.image_size"
    on_disk = kind == "tfrecord" and is_on_disk(config.residence, needed, config.name, remedy)
    splits: dict[str, Examples] = {}
    for name, expression in expressions.items():
        what = f"{config.name}, split {expression}"
        if kind != "tfrecord":
            dataset = _load(config.name, where, split=expression)
            splits[name] = _read_other(dataset, image_key, label_key, shape, what)
            continue
        index = _index(info, expression)
        labels = _labels(info, index, image_key, label_key, what)
        codes = np.zeros(len(index), np.int8)
        examples = RecordExamples(index, labels, codes, decode, shape)
        splits[name] = examples if on_disk else _read(examples, index, what)
    return Source(splits, tuple(info.features[label_key].names))


def _load(name: str, where: str, **options: Any) -> Any:
    # Importing TFDS takes long, and only this source needs it.
    import tensorflow_datasets as tfds

    return tfds.load(name, data_dir=where or None, download=False, shuffle_files=False, **options)


def _info(name: str, where: str) -> Any:
    """The description of a prepared data set."""
    import tensorflow_datasets as tfds

    if not re.fullmatch(_NAME, name):
        raise UserError(
            f"data.name must be NAME, NAME/CONFIG or NAME:VERSION of TFDS. Received: {name!r}"
        )
    try:
        _, info = _load(name, where, with_info=True)
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see tensorflow.org/datasets/catalog."
        raise UserError(f"unknown TensorFlow Datasets data set {name!r}; {hint}") from None
    except AssertionError:
        arguments = f"{name!r}, data_dir={where!r}" if where else repr(name)
        raise UserError(
            f"data set {name!r} is not prepared in {where or '~/tensorflow_datasets'}; pass its "
            "directory as --data_dir=DIR, or prepare it on a machine with network access: "
            f'python -c "import tensorflow_datasets as tfds; tfds.load({arguments})"'
        ) from None
    except ValueError as error:
        # An unknown configuration of the data set; TFDS lists the others.
        reason = " ".join(str(error).split())
        raise UserError(f"data set {name!r} cannot be opened: {reason}") from error
    return info


def _keys(name: str, info: Any) -> tuple[str, str]:
    """The features that hold the image and its class."""
    import tensorflow_datasets as tfds

    features = info.features
    images = [key for key, value in features.items() if isinstance(value, tfds.features.Image)]
    labels = [key for key, value in features.items() if isinstance(value, tfds.features.ClassLabel)]
    if info.supervised_keys and tuple(info.supervised_keys) in [
        (image, label) for image in images for label in labels
    ]:
        return tuple(info.supervised_keys)
    if len(images) == 1 and len(labels) == 1:
        return images[0], labels[0]
    raise UserError(
        "the data set must have one image and one class label per example; use one for image "
        f"classification. Received: {name!r} with {', '.join(features)}"
    )


def _check_splits(expressions: dict[str, str], info: Any) -> None:
    read: dict[str, list[tuple[int, int, str]]] = {}
    for name, expression in expressions.items():
        try:
            instructions = info.splits[expression].file_instructions
        except (ValueError, KeyError, AssertionError) as error:
            raise UserError(
                f"data.{name}_split must be a split of {info.name}, or a slice of one: "
                f"{', '.join(info.splits)}. Received: {expression!r}"
            ) from error
        for part in instructions:
            last = part.examples_in_shard if part.take == -1 else part.skip + part.take
            of_file = read.setdefault(part.filename, [])
            for first, end, other in of_file:
                if other != name and part.skip < end and first < last:
                    raise UserError(
                        f"data.{name}_split must share no example with data.{other}_split. "
                        f"Received: {expression!r} and {expressions[other]!r}"
                    )
            of_file.append((part.skip, last, name))


def _shape(config: TFDS, feature: Any) -> tuple[int, int, int]:
    """The shape of an image in memory."""
    height, width, channels = feature.shape
    dtype = tf.as_dtype(feature.dtype)
    if channels not in (1, 3) or dtype != tf.uint8:
        raise UserError(
            "the images must be grayscale or color with 8 bits per channel. Received: "
            f"{config.name!r} with {channels} channels of {dtype.name}"
        )
    if config.image_size:
        height, width = config.image_size
    if height is None or width is None:
        raise UserError(
            f"the images differ in size; set data.image_size=HEIGHT,WIDTH. Received: "
            f"{config.name!r}"
        )
    return height, width, channels


def _index(info: Any, expression: str) -> RecordIndex:
    """The records of a split, in the order of its shards."""
    instructions = info.splits[expression].file_instructions
    index = index_shards([instruction.filename for instruction in instructions])
    for shard, damaged in zip(index.shards, index.damaged, strict=True):
        if damaged:
            raise _corrupt(f"{info.name}, split {expression}", f"{shard.path} {damaged}")
    starts = np.searchsorted(index.files, np.arange(len(instructions) + 1))
    records = [
        np.arange(start + part.skip, end if part.take == -1 else start + part.skip + part.take)
        for part, start, end in zip(instructions, starts, starts[1:], strict=False)
    ]
    return index.select(np.concatenate(records))


def _labels(
    info: Any, index: RecordIndex, image_key: str, label_key: str, what: str
) -> NDArray[np.int32]:
    """The class number of each record, from the cache if the shards have not changed."""
    shards = [f"{shard.path}\n{shard.size}\n{shard.modified}" for shard in index.shards]
    key = ("tfds labels", _VERSION, what, label_key, *shards)
    newest = max(shard.modified for shard in index.shards)
    arrays = index_cache.cached(
        key,
        lambda: {"labels": _read_labels(info, index, image_key, label_key, what)},
        newest,
    )
    return _checked(arrays["labels"], what)


def _read_labels(
    info: Any, index: RecordIndex, image_key: str, label_key: str, what: str
) -> NDArray[np.int32]:
    import tensorflow_datasets as tfds

    skip = {image_key: tfds.decode.SkipDecoding()}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def parse(payloads: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(
            lambda payload: tf.cast(
                info.features.deserialize_example(payload, decoders=skip)[label_key], tf.int32
            ),
            payloads,
            fn_output_signature=tf.int32,
        )

    labels = np.empty(len(index), np.int32)
    for first in range(0, len(index), _READ_BATCH):
        part = slice(first, first + _READ_BATCH)
        payloads = index.read(part)
        try:
            labels[part] = parse(tf.constant(payloads, tf.string)).numpy()
        except tf.errors.OpError as error:
            raise _corrupt(what, type(error).__name__) from error
    return labels


def _decode(info: Any, image_key: str, shape: tuple[int, int, int]) -> Decode:
    *size, _ = shape

    def image(payload: tf.Tensor) -> tf.Tensor:
        pixels = info.features.deserialize_example(payload)[image_key]
        return tf.ensure_shape(resize(pixels, size), shape)

    def decode(payloads: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        del codes
        return tf.map_fn(
            image,
            payloads,
            fn_output_signature=tf.TensorSpec(shape, tf.uint8),
            parallel_iterations=16,
        )

    return decode


def _read(examples: RecordExamples, index: RecordIndex, what: str) -> InMemoryExamples:
    try:
        return in_memory(examples, index.identities)
    except tf.errors.OpError as error:
        raise _corrupt(what, type(error).__name__) from error


def _read_other(
    dataset: tf.data.Dataset, image_key: str, label_key: str, shape: tuple[int, ...], what: str
) -> InMemoryExamples:
    """The examples of a set that is not stored in TFRecord shards."""
    resized = dataset.map(lambda each: (resize(each[image_key], shape[:2]), each[label_key]))
    features, labels = [], []
    try:
        for images, classes in resized.batch(_READ_BATCH).as_numpy_iterator():
            features.append(images)
            labels.append(classes)
    except tf.errors.OpError as error:
        raise _corrupt(what, type(error).__name__) from error
    return InMemoryExamples(
        np.concatenate(features), _checked(np.concatenate(labels).astype(np.int32), what)
    )


def _checked(labels: NDArray[np.int32], what: str) -> NDArray[np.int32]:
    if labels.min() < 0:
        raise UserError(f"every example must have a label; {what} has examples without one")
    return labels


def _corrupt(what: str, reason: str) -> UserError:
    return UserError(f"the prepared data set {what} is corrupt ({reason}); prepare it again")

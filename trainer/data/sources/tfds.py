"""`tfds`: a prepared TensorFlow Datasets image classification data set."""

import difflib
import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.data import TFDS
from trainer.data.decoding import check_images_fit, resize
from trainer.data.examples import InMemoryExamples, Source
from trainer.errors import UserError

# A configuration and a version may follow. A namespace would be downloaded.
_NAME = r"[A-Za-z]\w*(/[\w.+-]+)?(:[\d.*]+)?"
_READ_BATCH = 256


def load(config: TFDS, data_dir: str) -> Source:
    """Reads a prepared data set into memory; downloads nothing.

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
    stored = info.features[image_key].shape
    shape = _shape(config, info.features[image_key])
    counts = {name: info.splits[text].num_examples for name, text in expressions.items()}
    check_images_fit(sum(counts.values()), shape, config.name)
    splits = {}
    for name, expression in expressions.items():
        dataset = _load(config.name, where, split=expression).map(
            lambda example: (example[image_key], example[label_key])
        )
        # Images of different sizes cannot be batched.
        batches = dataset.batch(1 if None in stored else _READ_BATCH)
        splits[name] = _read(batches, counts[name], shape, f"{config.name}, split {expression}")
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
    read: dict[tuple[str, int], str] = {}
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
            for position in range(part.skip, last):
                other = read.setdefault((part.filename, position), name)
                if other != name:
                    raise UserError(
                        f"data.{name}_split must share no example with data.{other}_split. "
                        f"Received: {expression!r} and {expressions[other]!r}"
                    )


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


def _read(
    batches: tf.data.Dataset, count: int, shape: tuple[int, ...], what: str
) -> InMemoryExamples:
    features, labels = np.empty((count, *shape), np.uint8), np.empty(count, np.int32)
    place = 0
    try:
        for images, classes in batches.as_numpy_iterator():
            part = slice(place, place + len(classes))
            fits = images.shape[1:] == shape
            features[part] = images if fits else [_resized(image, shape) for image in images]
            labels[part] = classes
            place = part.stop
    except tf.errors.OpError as error:
        raise UserError(
            f"the prepared data set {what} is corrupt ({type(error).__name__}); prepare it again"
        ) from error
    if labels.min() < 0:
        raise UserError(f"every example must have a label; {what} has examples without one")
    return InMemoryExamples(features, labels)


def _resized(pixels: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    with tf.device("/cpu:0"):
        return np.asarray(resize(pixels, shape[:2]).numpy(), np.uint8)

"""The source `tfds`: a TensorFlow Datasets image classification set, already prepared."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.backend import tf
from trainer.config.supervised import TFDS
from trainer.errors import UserError
from trainer.registry import unknown_name
from trainer.supervised.data.dataset import Source, Split
from trainer.supervised.data.memory import check_fits
from trainer.supervised.data.preprocessing import fit_image

_READ_BATCH = 1024


def load_tfds(config: TFDS, data_dir: str) -> Source:
    """Reads a prepared set into memory; nothing is downloaded.

    Args:
      config: names the set and its splits; a split may be a slice, as `train[:90%]`.
      data_dir: where prepared sets lie; empty leaves it to TFDS and TFDS_DATA_DIR.

    Raises:
      UserError: if the set or a split is not there, splits overlap, or it is no image
        classification set.
    """
    # Imported here: it takes a while, and only this source needs it.
    import tensorflow_datasets as tfds

    where = data_dir or os.environ.get("TFDS_DATA_DIR")
    try:
        _, info = tfds.load(config.name, data_dir=where, download=False, with_info=True)
    except tfds.core.DatasetNotFoundError:
        raise unknown_name("TensorFlow Datasets set", config.name, _near(config.name)) from None
    except AssertionError:
        raise UserError(
            f"the set is not prepared in {where or '~/tensorflow_datasets'}: name a directory "
            f"where it is with --data_dir=DIR, or prepare it with `tfds build {config.name}` where "
            f"there is a network. Received: {config.name!r}"
        ) from None
    image_key, label_key = _keys(config.name, info, tfds)
    expressions = {"train": config.train_split, "test": config.test_split}
    if config.validation_split:
        expressions["validation"] = config.validation_split
    _check_splits(expressions, info)
    size = _size(config, info.features[image_key].shape)
    channels = info.features[image_key].shape[-1]
    examples = sum(info.splits[text].num_examples for text in expressions.values())
    check_fits(examples, (*size, channels), config.name)
    splits = {}
    for name, expression in expressions.items():
        dataset = tfds.load(
            config.name, split=expression, data_dir=where, download=False, shuffle_files=False
        )
        splits[name] = _read(
            dataset.map(lambda example: (example[image_key], example[label_key])),
            size if config.image_size else (),
        )
    return Source(splits, tuple(info.features[label_key].names))


def _near(name: str) -> list[str]:
    import difflib

    import tensorflow_datasets as tfds

    return difflib.get_close_matches(name, tfds.list_builders(with_community_datasets=False), n=5)


def _keys(name: str, info: Any, tfds: Any) -> tuple[str, str]:
    """The features that hold the image and its class."""
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
        "the set must have one image and one class label an example; take an image "
        f"classification set. Received: {name!r} with {', '.join(features)}"
    )


def _check_splits(expressions: dict[str, str], info: Any) -> None:
    read: dict[tuple[str, int], str] = {}
    for name, expression in expressions.items():
        try:
            instructions = info.splits[expression].file_instructions
        except (ValueError, KeyError, AssertionError) as error:
            raise UserError(
                f"data.{name}_split must be a split of {info.name} or a slice of one: "
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


def _size(config: TFDS, shape: tuple[int | None, ...]) -> tuple[int, ...]:
    if config.image_size:
        return config.image_size
    if None in shape[:2]:
        raise UserError(
            f"the images of {config.name} differ in size; set data.image_size=HEIGHT,WIDTH. "
            f"Received: {shape}"
        )
    return tuple(int(length) for length in shape[:2] if length is not None)


def _read(dataset: tf.data.Dataset, image_size: tuple[int, ...]) -> Split:
    if image_size:
        pairs = list(dataset.as_numpy_iterator())
        features = np.stack([_resized(image, image_size) for image, _ in pairs])
        labels = np.array([label for _, label in pairs])
    else:
        batches = list(dataset.batch(_READ_BATCH).as_numpy_iterator())
        features = np.concatenate([images for images, _ in batches])
        labels = np.concatenate([labels for _, labels in batches])
    if labels.min() < 0:
        raise UserError(
            "every example must have a label; take a split that has them. Received: label -1"
        )
    return Split(features, labels.astype(np.int32))


def _resized(pixels: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.uint8]:
    channels = pixels.shape[-1]
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    return fit_image(image, size, channels)

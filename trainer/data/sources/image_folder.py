"""`image_folder`: one folder of images per class, or images with a table of targets."""

import dataclasses
import os
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.data import ImageFolder
from trainer.data.broken_inputs import fail_or_skip, report_skipped
from trainer.data.decoded_cache import keep_decoded
from trainer.data.decoding import image_memory
from trainer.data.examples import Examples, Source, in_memory
from trainer.data.image_check import common_size
from trainer.data.image_files import ImageFileExamples, ImageIndex, index_images
from trainer.data.image_listing import check_links, class_files, split_folders, subfolders
from trainer.data.labels_file import Labels, read_labels
from trainer.data.residence import is_on_disk
from trainer.data.signature import CLASSIFICATION
from trainer.data.targets import Targets, parse_targets
from trainer.errors import UserError

_LABEL_SEPARATOR = ";"


@dataclasses.dataclass(frozen=True)
class _Split:
    """The images of a split that can be used, and their targets."""

    index: ImageIndex
    targets: Targets


def load(config: ImageFolder, data_dir: str) -> Source:
    """Indexes the images, and reads them now or for each batch, see `data.residence`.

    Classes and files are in the order of their names; files of a table in its order. Hidden files
    and files with other extensions are ignored in folders of classes. Of an animation the first
    frame is read.

    Raises:
      UserError: if a folder is missing or empty, there are fewer than two classes, an image or a
        target cannot be used, or sizes differ and `image_size` is not set.
    """
    del data_dir
    if not config.path or not tf.io.gfile.isdir(config.path):
        raise UserError(f"data.path must be a folder of images. Received: {config.path!r}")
    group = _group(config)
    skipped: list[tuple[str, str]] = []
    if config.labels_file:
        splits = {"train": _labelled(config, skipped)}
    else:
        splits = _classified(config, skipped)
    report_skipped(skipped)
    shape = _shape(config, splits)
    groups = _groups(group, splits["train"].index) if group else None
    needed = image_memory(sum(len(split.index) for split in splits.values()), shape)
    remedy = ", or use a smaller data.image_size"
    on_disk = is_on_disk(config.residence, needed, config.path, remedy)
    targets = splits["train"].targets
    return Source(
        {name: _examples(config, split, shape, on_disk) for name, split in splits.items()},
        targets.classes,
        target=targets.kind,
        groups=groups,
        skipped=tuple(skipped),
    )


def usable_files(config: ImageFolder) -> list[tuple[str, int]]:
    """The files of the images that training uses, each with its code, see `decode_any`."""
    splits = [_labelled(config, [])] if config.labels_file else _classified(config, []).values()
    return [
        (split.index.path(file), int(code))
        for split in splits
        for file, code in enumerate(split.index.codes)
    ]


def _classified(config: ImageFolder, skipped: list[tuple[str, str]]) -> dict[str, _Split]:
    """The images in folders of classes, for each split."""
    folders = split_folders(config.path)
    classes = subfolders(os.path.join(config.path, folders["train"]))
    if len(classes) < 2:
        raise UserError(
            f"{os.path.join(config.path, folders['train'])} must contain a folder for each of at "
            f"least two classes. Received: {', '.join(classes) or 'no folder'}"
        )
    splits = {}
    for name, folder in folders.items():
        listed = class_files(config.path, folder, classes)
        numbers = np.array([number for _, number in listed], np.int32)
        index = index_images(config.path, [file for file, _ in listed])
        usable = _usable(config, index, skipped)
        left = numbers[usable]
        for number, label in enumerate(classes):
            if name == "train" and number not in left:
                # Each class has a file, so these are broken.
                first = index.reasons[np.flatnonzero(numbers[index.broken] == number)[0]]
                raise UserError(f"no image of class {label!r} can be used; the first: {first}")
        targets = Targets(tuple(classes), CLASSIFICATION, left)
        splits[name] = _Split(index.select(usable), targets)
    return splits


def _labelled(config: ImageFolder, skipped: list[tuple[str, str]]) -> _Split:
    """The images of a table, and their targets."""
    labels = read_labels(config.path, config.labels_file, config.labels or (config.label,))
    check_links(config.path, labels.names, labels.where)
    index = index_images(config.path, labels.names)
    usable = _usable(config, index, skipped, labels)
    kept = labels.select(usable.tolist())
    targets = parse_targets(kept.columns, config.target, _LABEL_SEPARATOR, kept.where)
    return _Split(index.select(usable), targets)


def _usable(
    config: ImageFolder,
    index: ImageIndex,
    skipped: list[tuple[str, str]],
    labels: Labels | None = None,
) -> NDArray[np.int64]:
    """The numbers of the files that can be used; appends the others to `skipped`."""
    for file, reason in zip(index.broken.tolist(), index.reasons, strict=True):
        place = f"{labels.where(file)}: " if labels else ""
        fail_or_skip(config.on_error, skipped, index.path(file), f"{place}{reason}")
    if len(index.broken) == len(index):
        raise UserError(f"no image can be used; the first: {index.reasons[0]}")
    return np.delete(np.arange(len(index)), index.broken)


def _shape(config: ImageFolder, splits: dict[str, _Split]) -> tuple[int, ...]:
    """The shape of an image.

    Raises:
      UserError: if their sizes differ and `image_size` is not set.
    """
    if config.image_size:
        return (*config.image_size, config.channels)
    sizes = [(each.index.sizes, each.index.path) for each in splits.values()]
    return (*common_size(sizes), config.channels)


def _group(config: ImageFolder) -> re.Pattern[str] | None:
    """The compiled expression of `data.group`."""
    if not config.group:
        return None
    try:
        pattern = re.compile(config.group)
    except re.error as error:
        raise UserError(
            f"data.group must be a regular expression ({error}). Received: {config.group!r}"
        ) from error
    if not pattern.groups:
        raise UserError(
            "data.group must have a group in parentheses, such as 'patient(\\d+)'. "
            f"Received: {config.group!r}"
        )
    return pattern


def _groups(pattern: re.Pattern[str], index: ImageIndex) -> Sequence[bytes]:
    groups = []
    for name in (each.decode() for each in index.names):
        found = pattern.search(name)
        if found is None or found[1] is None:
            raise UserError(
                "data.group must be found in the path of every training image. Received: "
                f"{pattern.pattern!r}, which is not in {name}"
            )
        groups.append(found[1].encode())
    return groups


def _examples(
    config: ImageFolder, split: _Split, shape: tuple[int, ...], on_disk: bool
) -> Examples:
    examples = ImageFileExamples(split.index, split.targets.values, shape)
    try:
        if not on_disk:
            return in_memory(examples, split.index.identities)
        return keep_decoded(examples, shape) if config.decoded_cache else examples
    except tf.errors.OpError as error:
        # Every image was decoded before.
        raise UserError(
            f"an image of {config.path} has changed while it was read ({type(error).__name__}); "
            "run the same command again"
        ) from error

"""From a `data` section to a data set with its splits and normalization."""

import importlib
from collections.abc import Callable, Sequence
from typing import cast

from trainer.config import user_code
from trainer.config.data import IDX, TFDS, CustomData, Data
from trainer.data import changes
from trainer.data.examples import Dataset, Source
from trainer.data.normalization import (
    image_normalization,
    table_normalization,
    target_normalization,
)
from trainer.data.signature import REGRESSION, Column, Signature
from trainer.data.splits import hold_out
from trainer.errors import UserError

Load = Callable[[Data, str], Source]


def find_source(config: Data) -> Load:
    """The source of a section: `trainer.data.sources.KIND.load`, or the user's own.

    Raises:
      UserError: if `data.source` of a custom source cannot be imported.
    """
    if isinstance(config, CustomData):
        return cast(Load, user_code.load(config.source, "data.source"))
    return cast(Load, importlib.import_module(f"trainer.data.sources.{config.kind}").load)


def load(
    config: Data, data_dir: str, columns: Sequence[Column] = (), holds_out: bool = True
) -> Dataset:
    """Reads a source, holds out missing splits and measures the normalization.

    Args:
      config: the `data` section.
      data_dir: directory of prepared TensorFlow Datasets; empty: TFDS' default.
      columns: of the run that a table is for; empty: they are measured on the training split.
      holds_out: whether splits that the source does not have are held out; if not, the splits are
        those of the source, the first one `train`.

    Raises:
      UserError: if the data are missing, broken, too few or too many, or a table has no such
        columns.
    """
    source = find_source(config)(config, data_dir)
    if not isinstance(source, Source):
        raise UserError(
            f"data.source must return a trainer.data.examples.Source. "
            f"Received: {type(source).__name__}"
        )
    # These sources have a test split.
    test_fraction = 0.0 if isinstance(config, IDX | TFDS) else config.test_fraction
    splits = dict(source.splits)
    if holds_out:
        splits = hold_out(
            source, config.split_seed, config.validation_fraction, test_fraction, config.stratify
        )
    skipped, summary = source.skipped, ""
    if source.encode:
        encoded = source.encode(splits, columns)
        splits, columns, summary = encoded.splits, encoded.columns, encoded.summary
        skipped += encoded.skipped
    else:
        columns = [Column(name) for name in source.columns]
    train = splits["train"]
    shape = next(train.chunks()).shape[1:]
    offset, scale = (
        table_normalization(config.normalize, train, columns)
        if columns
        else image_normalization(config.normalize, train, shape[-1])
    )
    target_offset, target_scale = (
        target_normalization(train.targets) if source.target == REGRESSION else ((), ())
    )
    signature = Signature(
        kind="table" if columns else "image",
        stored_shape=shape,
        input_shape=(len(offset),) if columns else shape,
        classes=source.classes,
        columns=tuple(columns),
        offset=offset,
        scale=scale,
        target=source.target,
        target_offset=target_offset,
        target_scale=target_scale,
    )
    dataset = Dataset(splits, signature, skipped, summary)
    return changes.with_positive_class(dataset, config.positive_class)

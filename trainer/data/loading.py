"""From a `data` section to a data set with its splits and normalization."""

import importlib
from collections.abc import Callable
from typing import cast

from trainer.config import user_code
from trainer.config.data import IDX, TFDS, CustomData, Data
from trainer.data.examples import Dataset, Signature, Source
from trainer.data.normalization import normalization
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


def load(config: Data, data_dir: str) -> Dataset:
    """Reads a source, holds out missing splits and measures the normalization.

    Args:
      config: the `data` section.
      data_dir: directory of prepared TensorFlow Datasets; empty: TFDS' default.

    Raises:
      UserError: if the data are missing, broken, too few or too many.
    """
    source = find_source(config)(config, data_dir)
    if not isinstance(source, Source):
        raise UserError(
            f"data.source must return a trainer.data.examples.Source. "
            f"Received: {type(source).__name__}"
        )
    # These sources have a test split.
    test_fraction = 0.0 if isinstance(config, IDX | TFDS) else config.test_fraction
    splits = hold_out(source.splits, config.split_seed, config.validation_fraction, test_fraction)
    train = splits["train"]
    shape = next(train.chunks()).shape[1:]
    offset, scale = normalization(config.normalize, train, shape[-1])
    signature = Signature(
        kind="table" if source.columns else "image",
        stored_shape=shape,
        input_shape=shape,
        classes=source.classes,
        columns=source.columns,
        offset=offset,
        scale=scale,
    )
    return Dataset(splits, signature)

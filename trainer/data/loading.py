"""From a `data` section to a data set in memory."""

from collections.abc import Callable
from typing import Any

from trainer.config.supervised import TFDS, Data
from trainer.data.examples import Dataset, Signature, Source
from trainer.data.preprocessing import normalization
from trainer.data.sources.csv import load_csv
from trainer.data.sources.digits import load_digits
from trainer.data.sources.image_folder import load_image_folder
from trainer.data.sources.tfds import load_tfds
from trainer.data.splits import hold_out

SOURCES: dict[str, Callable[[Any, str], Source]] = {
    "digits": lambda *_: load_digits(),
    "tfds": load_tfds,
    "image_folder": lambda config, _: load_image_folder(config),
    "csv": lambda config, _: load_csv(config),
}


def load(config: Data, data_dir: str) -> Dataset:
    """Reads a source, holds out what it does not, measures its normalization.

    Args:
      config: the `data` section.
      data_dir: where prepared TensorFlow Datasets lie; empty leaves it to TFDS.

    Raises:
      UserError: if the data are missing, broken, or too few or too many.
    """
    source = SOURCES[config.kind](config, data_dir)
    test_fraction = 0.0 if isinstance(config, TFDS) else config.test_fraction
    splits = hold_out(source.splits, config.split_seed, config.validation_fraction, test_fraction)
    train = splits["train"]
    offset, scale = normalization(config.normalize, train)
    signature = Signature(
        kind="table" if source.columns else "image",
        shape=train.features.shape[1:],
        classes=source.classes,
        columns=source.columns,
        offset=offset,
        scale=scale,
    )
    return Dataset(splits, signature)

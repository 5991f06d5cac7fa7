"""From a `data` section to a data set in memory."""

from trainer.config.supervised import CSV, TFDS, Data, Digits, ImageFolder
from trainer.supervised.data.csv_table import load_csv
from trainer.supervised.data.dataset import Dataset, Signature, Source
from trainer.supervised.data.digits import load_digits
from trainer.supervised.data.image_folder import load_image_folder
from trainer.supervised.data.preprocessing import normalization
from trainer.supervised.data.splitting import hold_out
from trainer.supervised.data.tfds import load_tfds


def load(config: Data, data_dir: str) -> Dataset:
    """Reads a source, holds out what it does not, measures its normalization.

    Args:
      config: the `data` section.
      data_dir: where prepared TensorFlow Datasets lie; empty leaves it to TFDS.

    Raises:
      UserError: if the data are missing, broken, or too few or too many.
    """
    source = _read(config, data_dir)
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


def _read(config: Data, data_dir: str) -> Source:
    if isinstance(config, Digits):
        return load_digits()
    if isinstance(config, TFDS):
        return load_tfds(config, data_dir)
    if isinstance(config, ImageFolder):
        return load_image_folder(config)
    assert isinstance(config, CSV)
    return load_csv(config)

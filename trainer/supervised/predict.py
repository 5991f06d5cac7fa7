"""`trainer predict`: classes and probabilities for image files and rows of tables."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.data import Data
from trainer.config.supervised import Supervised
from trainer.data.decoding import read_image
from trainer.data.signature import Signature
from trainer.data.tables.reading import encoded_rows
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.io.files import read_bytes
from trainer.supervised.gradients import can_be_halved
from trainer.supervised.predictor import Predictor
from trainer.supervised.targets import describe, predictions


def predict(
    experiment: Supervised,
    path: str,
    files: Sequence[str],
    distribution_config: DistributionConfig,
) -> Iterator[Mapping[str, Any]]:
    """A prediction per image file and per row of a CSV or Parquet file, in order.

    Strategy and precision are chosen as in evaluation.

    Raises:
      UserError: if a file cannot be used, or there is no checkpoint.
    """
    runtime = distribution.create(distribution_config, can_be_halved(experiment))
    predictor = Predictor(experiment, path, runtime)
    signature = predictor.signature
    examples = read_examples(files, signature, experiment.data)
    while part := list(islice(examples, predictor.batch_size)):
        names, features = zip(*part, strict=True)
        outputs = tf.constant(predictor.outputs(np.stack(features)))
        for name, row in zip(names, predictions(outputs, signature).numpy(), strict=True):
            yield {"file": name, **describe(row, signature)}


def read_examples(
    paths: Sequence[str], signature: Signature, data: Data
) -> Iterator[tuple[str, NDArray[Any]]]:
    """The examples in files, each with a name: the file, and the line or row of a table.

    Args:
      paths: of images, or of tables, which are read in parts.
      signature: of the run.
      data: the section of the run, for the delimiter and the encoding of CSV files.

    Raises:
      UserError: if a file is missing, empty, or not what the network was trained on.
    """
    for path in paths:
        if signature.kind == "image":
            height, width, channels = signature.stored_shape
            yield path, read_image(read_bytes(path), path, (height, width), channels)
        else:
            yield from encoded_rows(path, data, signature.columns)

"""`trainer predict`: what a run's network says of image files and rows of tables."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.data import Data
from trainer.data.image_listing import ENDINGS
from trainer.data.image_reading import read_images
from trainer.data.input_files import input_files
from trainer.data.signature import Signature
from trainer.data.tables.reading import encoded_rows
from trainer.errors import UserError
from trainer.supervised.predictor import Predictor
from trainer.supervised.targets import describe, predictions

_TABLE_ENDINGS = (".csv", ".csv.gz", ".parquet")


def predict(
    predictor: Predictor, paths: Sequence[str]
) -> Iterator[tuple[str, Mapping[str, Any] | UserError]]:
    """Predictions for the images, or the rows of the tables, that paths name, in order.

    Memory does not depend on their number.

    Args:
      predictor: the network of a run.
      paths: of files, folders, and patterns, see `input_files`.

    Yields:
      The name of an input, and its prediction as in `describe`, or why there is none.
    """
    signature = predictor.signature
    examples = read_examples(paths, signature, predictor.experiment.data)
    while part := list(islice(examples, predictor.batch_size)):
        features = [each for _, each in part if not isinstance(each, UserError)]
        predicted = iter(_compute(predictor, features)) if features else iter(())
        for name, each in part:
            if isinstance(each, UserError):
                yield name, each
            else:
                yield name, describe(next(predicted), signature)


def _compute(predictor: Predictor, features: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """The predictions `[B, C]` of examples."""
    outputs = tf.constant(predictor.outputs(np.stack(features)))
    predicted: NDArray[np.float32] = predictions(outputs, predictor.signature).numpy()
    return predicted


def read_examples(
    paths: Sequence[str], signature: Signature, data: Data
) -> Iterator[tuple[str, NDArray[Any] | UserError]]:
    """The examples that paths name, each with the file, and the line or row of a table.

    Args:
      paths: of files, folders, and patterns. Tables are read in parts, images in parallel.
      signature: of the run.
      data: the section of the run, for the delimiter and the encoding of CSV files.

    Yields:
      The name of an example, and its stored features, or why it cannot be used.
    """
    if signature.kind == "image":
        yield from read_images(input_files(paths, ENDINGS), signature.stored_shape)
        return
    for path, error in input_files(paths, _TABLE_ENDINGS):
        try:
            if error:
                raise error
            yield from encoded_rows(path, data, signature.columns)
        except UserError as wrong:
            yield path, wrong

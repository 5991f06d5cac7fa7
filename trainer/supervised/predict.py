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
from trainer.engine.runner import checkpoint_of
from trainer.io.files import read_bytes
from trainer.supervised.classifier import Classifier, moving_average, restore_network
from trainer.supervised.run_data import stored_signature
from trainer.supervised.targets import describe, predictions
from trainer.supervised.test_time import averaged_logits

_BATCH_SIZE = 256


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
    found = checkpoint_of(path, experiment.evaluate.checkpoint)
    signature = stored_signature(path)
    strategy = distribution.create(distribution_config).strategy
    with strategy.scope():
        classifier = Classifier(experiment, signature, tf.Variable(0, dtype=tf.int64))
        ema = moving_average(experiment, classifier.network)
    restore_network(found, classifier.network, ema)
    logits_of = averaged_logits(classifier, experiment.evaluate.test_time_augmentation)

    @tf.function
    def predict_batch(batch: tf.Tensor) -> tf.Tensor:
        # Every replica computes the whole batch, and the first one's is used.
        logits = strategy.run(logits_of, args=(batch,))
        return predictions(strategy.experimental_local_results(logits)[0], signature)

    examples = read_examples(files, signature, experiment.data)
    while part := list(islice(examples, _BATCH_SIZE)):
        names, features = zip(*part, strict=True)
        predicted = predict_batch(tf.constant(np.stack(features))).numpy()
        for name, row in zip(names, predicted, strict=True):
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

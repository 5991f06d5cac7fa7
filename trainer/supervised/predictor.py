"""The network of a run's selected checkpoint, applied to examples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.supervised import Supervised
from trainer.engine.distribution import Runtime
from trainer.engine.runner import checkpoint_of
from trainer.models import halves
from trainer.supervised.classifier import Classifier, moving_average, restore_network
from trainer.supervised.run_data import stored_signature
from trainer.supervised.test_time import averaged_logits


class Predictor:
    """A trained network, as evaluation uses it: with moving average and test-time augmentation.

    Attributes:
      experiment: the configuration, with one seed.
      signature: of the data that the run began with.
      step: updates that the weights were trained for.
      classifier: the network with these weights.
    """

    def __init__(self, experiment: Supervised, path: str, runtime: Runtime):
        """Restores the checkpoint that `evaluate.checkpoint` selects.

        Args:
          experiment: the configuration, with one seed.
          path: the work directory of the run.
          runtime: where to compute.

        Raises:
          UserError: if there is no complete checkpoint.
        """
        found = checkpoint_of(path, experiment.evaluate.checkpoint)
        self.experiment = experiment
        self.signature = stored_signature(path)
        self.step = found.step
        self._runtime = runtime
        with runtime.strategy.scope():
            step = tf.Variable(0, dtype=tf.int64)
            self.classifier = Classifier(experiment, self.signature, step)
            ema = moving_average(experiment, self.classifier.network)
        restore_network(found, self.classifier.network, ema)
        self.logits = averaged_logits(self.classifier, experiment.evaluate.test_time_augmentation)
        self._batch_size = 2 * -(-experiment.evaluate.batch_size // 2)

    @property
    def batch_size(self) -> int:
        """The number of examples that are computed at once."""
        return self._batch_size

    def outputs(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """The network's outputs `[B, C]` of stored examples `[B, ...]`, at most `batch_size`."""
        count = len(features)
        missing = self._batch_size - count
        # One shape for all batches, so that the network is traced once.
        padded = np.concatenate([features, np.repeat(features[-1:], missing, axis=0)])
        outputs: NDArray[np.float32] = self._compute(tf.constant(padded)).numpy()
        return outputs[:count]

    @tf.function
    def _compute(self, features: tf.Tensor) -> tf.Tensor:
        # Every replica computes the whole batch, and the first one's is used.
        strategy = self._runtime.strategy
        outputs = strategy.run(self._side_by_side, args=(features,))
        return strategy.experimental_local_results(outputs)[0]

    def _side_by_side(self, features: tf.Tensor) -> tf.Tensor:
        parts = halves.side_by_side(self.logits, self._runtime.streams, features)
        return tf.concat(parts, axis=0)

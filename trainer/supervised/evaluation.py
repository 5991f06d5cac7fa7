"""Evaluation of a network over all examples of a split, under a strategy."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.examples import Examples
from trainer.data.pipelines import batches
from trainer.data.signature import Signature
from trainer.engine.distribution import Runtime
from trainer.errors import UserError
from trainer.io.records import Value
from trainer.metrics.metric import Metric
from trainer.models import halves
from trainer.supervised.targets import metric_sums, sum_shapes

Sums = list[NDArray[np.float64]]


class Evaluation:
    """Adds up metrics over examples, each of which is counted once."""

    def __init__(self, logits: Callable[[tf.Tensor], tf.Tensor], runtime: Runtime, batch_size: int):
        """Computes nothing.

        Args:
          logits: from stored examples `[B, ...]` to the network's outputs `[B, C]`.
          runtime: where to compute.
          batch_size: global; the next multiple of the replicas and streams is taken.
        """
        self._logits = logits
        self._runtime = runtime
        self._strategy = runtime.strategy
        parts = runtime.replicas * runtime.streams
        self._batch_size = -(-batch_size // parts) * parts

    def sums(self, examples: Examples, metrics: Sequence[Metric], signature: Signature) -> Sums:
        """What each metric adds up over the examples."""
        return self._run(examples, tuple(metrics), signature, keep_outputs=False)[0]

    def sums_and_outputs(
        self, examples: Examples, metrics: Sequence[Metric], signature: Signature
    ) -> tuple[Sums, NDArray[np.float32]]:
        """The same sums, and the outputs `[N, C]` of the examples in their order."""
        return self._run(examples, tuple(metrics), signature, keep_outputs=True)

    def _run(
        self,
        examples: Examples,
        metrics: tuple[Metric, ...],
        signature: Signature,
        keep_outputs: bool,
    ) -> tuple[Sums, NDArray[np.float32]]:
        pipeline = batches.evaluation_pipeline(examples, self._batch_size)
        iterator = iter(self._strategy.distribute_datasets_from_function(pipeline))
        steps = batches.evaluation_steps(len(examples), self._batch_size)
        with changed_files_as_user_errors(examples):
            sums, outputs = self._evaluate_batches(
                iterator, tf.constant(steps), metrics, signature, keep_outputs
            )
        return [total.numpy() for total in sums], outputs.numpy()[: len(examples)]

    @tf.function
    def _evaluate_batches(
        self,
        iterator: tf.distribute.DistributedIterator,
        steps: tf.Tensor,
        metrics: tuple[Metric, ...],
        signature: Signature,
        keep_outputs: bool,
    ) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
        """The sums of each metric over `steps` batches, float64; and the outputs, if kept."""

        def step(
            features: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor
        ) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
            parts = halves.side_by_side(self._logits, self._runtime.streams, features)
            logits = tf.concat(parts, axis=0)
            return metric_sums(metrics, signature, logits, targets, weights), logits

        # float32 counts exactly only up to 2**24.
        totals = tuple(tf.zeros(shape, tf.float64) for shape in sum_shapes(metrics, signature))
        shape = [self._batch_size, len(signature.classes)]
        kept = tf.TensorArray(tf.float32, steps if keep_outputs else 0, element_shape=shape)
        for number in tf.range(steps):
            sums, logits = self._strategy.run(step, args=next(iterator))
            totals = tuple(
                total + tf.cast(self._strategy.reduce("SUM", added, axis=None), tf.float64)
                for total, added in zip(totals, sums, strict=True)
            )
            if keep_outputs:
                gathered = self._strategy.gather(logits, axis=0)
                kept = kept.write(number, tf.cast(gathered, tf.float32))
        return totals, tf.reshape(kept.stack(), [-1, shape[1]])


def finish(metrics: Sequence[Metric], sums: Sums) -> Mapping[str, Value]:
    """The value of each metric from its sums."""
    return {metric.name: metric.finish(total) for metric, total in zip(metrics, sums, strict=True)}


@contextlib.contextmanager
def changed_files_as_user_errors(examples: Examples) -> Iterator[None]:
    """Names the files that were changed or removed since training began, if reading one fails."""
    try:
        yield
    except tf.errors.OpError as error:
        if not (changed := examples.changed_files()):
            raise
        more = f" and {len(changed) - 1} others" if len(changed) > 1 else ""
        raise UserError(
            f"{changed[0]}{more} changed while the run was reading it; restore it, then run the "
            "same command to resume"
        ) from error

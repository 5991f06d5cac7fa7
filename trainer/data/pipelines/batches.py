"""Input pipelines: batches of examples in the order of `order`."""

from collections.abc import Callable

import numpy as np

from trainer.compat.keras import tf
from trainer.data.examples import Examples
from trainer.data.pipelines.order import batch_positions, local_replicas, permuted_indices

PipelineFactory = Callable[[tf.distribute.InputContext], tf.data.Dataset]
# From features `[b, ...]` and their positions in the sequence, int64 `[b]`, to features.
Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def training_pipeline(
    examples: Examples,
    seed: int,
    global_batch_size: int,
    first_step: int,
    augment: Augment | None = None,
) -> PipelineFactory:
    """Endless batches `(features [b, ...], targets [b])` from a step on; b is per replica."""
    size = len(examples)

    def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
        def batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            positions = batch_positions(number, global_batch_size, context)
            features, targets = examples.at(permuted_indices(positions, size, seed))
            return augment(features, positions) if augment else features, targets

        return _batches(batch, first_step, np.iinfo(np.int64).max, context)

    return pipeline


def with_waiting_time(pipeline: PipelineFactory) -> PipelineFactory:
    """Appends to each batch the seconds that its reader waited for it, float32 `[]`.

    Both times are taken on the host, so nothing waits for an accelerator.
    """

    def timed(context: tf.distribute.InputContext) -> tf.data.Dataset:
        # `zip` reads its data sets one after the other.
        clock = tf.data.Dataset.counter().map(lambda _: tf.timestamp())
        return tf.data.Dataset.zip(clock, pipeline(context), clock).map(
            lambda asked, batch, ready: (*batch, tf.cast(ready - asked, tf.float32))
        )

    return timed


def evaluation_pipeline(examples: Examples, global_batch_size: int) -> PipelineFactory:
    """Batches `(features, targets, weights)` of every example once, in order.

    The last batch is padded to its full shape with examples of weight 0.
    """
    size = len(examples)

    def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
        def batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            positions = batch_positions(number, global_batch_size, context)
            weights = tf.cast(positions < size, tf.float32)
            return *examples.at(tf.minimum(positions, size - 1)), weights

        return _batches(batch, 0, evaluation_steps(size, global_batch_size), context)

    return pipeline


def evaluation_steps(size: int, global_batch_size: int) -> int:
    """The number of global batches that hold `size` examples."""
    return -(-size // global_batch_size)


def _batches(
    batch: Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
    first_step: int,
    last_step: int,
    context: tf.distribute.InputContext,
) -> tf.data.Dataset:
    local = local_replicas(context)
    numbers = tf.data.Dataset.range(first_step * local, min(last_step * local, 2**62))
    dataset = numbers.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    options = tf.data.Options()
    # Each pipeline already reads its host's share only.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)

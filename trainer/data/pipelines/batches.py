"""Batches whose order is a pure function of (seed, epoch, step).

Position p of the endless training sequence lies in epoch p // N; there a keyed permutation
of the N examples says which one it is. Nothing is shuffled in a buffer, so a run goes on
from any step at once, and the order does not depend on the number of devices or hosts.
"""

from collections.abc import Callable

import numpy as np

from trainer.compat.keras import tf
from trainer.data.examples import Split

PipelineFactory = Callable[[tf.distribute.InputContext], tf.data.Dataset]

# Rounds of the keyed permutation; TensorFlow's own choice.
_ROUNDS = 4
_SEED_TAG = 0x5EED


def permuted_indices(positions: tf.Tensor, size: int, seed: int) -> tf.Tensor:
    """The examples at positions of the endless sequence.

    Args:
      positions: int64 `[B]`.
      size: number of examples, N.
      seed: the experiment's seed.

    Returns:
      int64 `[B]` in [0, N): within each epoch every example occurs once.
    """
    epoch = positions // size
    ones = tf.ones_like(epoch)
    key = tf.stack([ones * seed, epoch, ones * _SEED_TAG], axis=1)
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % size, seed=key, max_index=ones * (size - 1), rounds=_ROUNDS
    )


def training_pipeline(
    split: Split, seed: int, global_batch_size: int, first_step: int
) -> PipelineFactory:
    """Endless batches `(features [b, ...], labels [b])` from a step on, b a replica's share."""
    features, labels = tf.constant(split.features), tf.constant(split.labels)
    size = len(split.labels)

    def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
        def batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            positions = _positions(number, global_batch_size, context)
            indices = permuted_indices(positions, size, seed)
            return tf.gather(features, indices), tf.gather(labels, indices)

        return _batches(batch, first_step, np.iinfo(np.int64).max, context)

    return pipeline


def evaluation_pipeline(split: Split, global_batch_size: int) -> PipelineFactory:
    """Batches `(features, labels, weights)` of every example once, in order.

    The last batch is filled up to its full shape with examples of weight 0.
    """
    features, labels = tf.constant(split.features), tf.constant(split.labels)
    size = len(split.labels)

    def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
        def batch(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            positions = _positions(number, global_batch_size, context)
            indices = tf.minimum(positions, size - 1)
            weights = tf.cast(positions < size, tf.float32)
            return tf.gather(features, indices), tf.gather(labels, indices), weights

        return _batches(batch, 0, evaluation_steps(size, global_batch_size), context)

    return pipeline


def evaluation_steps(size: int, global_batch_size: int) -> int:
    """How many global batches hold `size` examples."""
    return -(-size // global_batch_size)


def _local_replicas(context: tf.distribute.InputContext) -> int:
    return context.num_replicas_in_sync // context.num_input_pipelines


def _positions(
    number: tf.Tensor, global_batch_size: int, context: tf.distribute.InputContext
) -> tf.Tensor:
    """The places in the sequence of a pipeline's batch `number`, int64 `[b]`."""
    local = _local_replicas(context)
    replica = context.input_pipeline_id * local + number % local
    share = context.get_per_replica_batch_size(global_batch_size)
    first = number // local * global_batch_size + replica * share
    return first + tf.range(share, dtype=tf.int64)


def _batches(
    batch: Callable[[tf.Tensor], tuple[tf.Tensor, ...]],
    first_step: int,
    last_step: int,
    context: tf.distribute.InputContext,
) -> tf.data.Dataset:
    local = _local_replicas(context)
    numbers = tf.data.Dataset.range(first_step * local, min(last_step * local, 2**62))
    dataset = numbers.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    options = tf.data.Options()
    # The order is already this host's own part.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)

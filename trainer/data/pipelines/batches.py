"""Input pipelines: batches of examples in the order of `order`."""

from collections.abc import Callable

import numpy as np

from trainer.compat.keras import tf
from trainer.data.augment.mixing import Mix
from trainer.data.augment.registry import Augment
from trainer.data.examples import Examples
from trainer.data.pipelines.order import (
    Order,
    Selection,
    batch_positions,
    local_replicas,
    select_partners,
)

PipelineFactory = Callable[[tf.distribute.InputContext], tf.data.Dataset]


def training_pipeline(
    examples: Examples,
    order: Order,
    global_batch_size: int,
    first_step: int,
    augment: Augment | None = None,
    mix: Mix | None = None,
) -> PipelineFactory:
    """Endless batches from a step on, in an order.

    A batch is `(features [b, ...], labels [b])`, where b is per replica. With `mix` it is
    `(features, labels, targets)`, where targets are probabilities float32 `[b, classes]`.
    """

    def read(selection: Selection) -> tuple[tf.Tensor, tf.Tensor]:
        features, labels = examples.at(selection.examples)
        return augment(features, selection) if augment else features, labels

    def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
        def batch(number: tf.Tensor) -> tuple[tf.Tensor, ...]:
            positions = batch_positions(number, global_batch_size, context)
            selection = order.select(positions)
            features, labels = read(selection)
            if mix is None:
                return features, labels
            partners = read(select_partners(order, positions))
            mixed, targets = mix(features, labels, *partners, selection)
            return mixed, labels, targets

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

"""The order of training examples, a pure function of (seed, epoch, step).

Position p of the endless training sequence belongs to epoch p // N, in which a keyed
permutation of the N examples selects the example. There is no shuffle buffer, so a run resumes
at any step at no cost, and the order does not depend on the number of devices or hosts.
"""

from trainer.compat.keras import tf

# Rounds of the keyed permutation; TensorFlow's default.
_ROUNDS = 4
_SEED_TAG = 0x5EED


def permuted_indices(positions: tf.Tensor, size: int, seed: int) -> tf.Tensor:
    """The examples at positions of the endless sequence.

    Args:
      positions: int64 `[B]`.
      size: number of examples, N.
      seed: seed of the experiment.

    Returns:
      int64 `[B]` in [0, N); within each epoch every example occurs once.
    """
    epoch = positions // size
    ones = tf.ones_like(epoch)
    key = tf.stack([ones * seed, epoch, ones * _SEED_TAG], axis=1)
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % size, seed=key, max_index=ones * (size - 1), rounds=_ROUNDS
    )


def batch_positions(
    number: tf.Tensor, global_batch_size: int, context: tf.distribute.InputContext
) -> tf.Tensor:
    """Positions in the sequence of an input pipeline's batch `number`, int64 `[b]`.

    The pipelines of all hosts together deliver each global batch once; every local replica
    takes one batch per step.
    """
    local = local_replicas(context)
    replica = context.input_pipeline_id * local + number % local
    share = context.get_per_replica_batch_size(global_batch_size)
    first = number // local * global_batch_size + replica * share
    return first + tf.range(share, dtype=tf.int64)


def local_replicas(context: tf.distribute.InputContext) -> int:
    """Replicas that one input pipeline feeds."""
    return context.num_replicas_in_sync // context.num_input_pipelines

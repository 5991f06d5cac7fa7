"""The order of training examples, a pure function of (seed, epoch, step).

Position p of the endless training sequence belongs to epoch p // N, in which a keyed
permutation of the N examples selects the example. There is no shuffle buffer, so a run resumes
at any step at no cost, and the order does not depend on the number of devices or hosts.
"""

import dataclasses

from trainer.compat.keras import tf

# Rounds of the keyed permutation; TensorFlow's default.
_ROUNDS = 4
_SEED_TAG = 0x5EED
_PARTNER_TAG = 0x3A7E


@dataclasses.dataclass(frozen=True)
class Selection:
    """Examples of a batch and their places in the training sequence, int64 `[B]` each.

    Attributes:
      positions: of the sequence; unique in a run.
      examples: indices of the examples.
      epochs: numbers of the epochs, from 0.
    """

    positions: tf.Tensor
    examples: tf.Tensor
    epochs: tf.Tensor


def select(positions: tf.Tensor, size: int, seed: int) -> Selection:
    """The examples at positions int64 `[B]` of the training sequence of `size` examples."""
    return Selection(positions, permuted_indices(positions, size, seed), positions // size)


def select_partners(positions: tf.Tensor, size: int, seed: int) -> Selection:
    """The examples that those at `positions` are mixed with.

    They are another permutation of the same epoch. Their positions are negative, so that they
    share no random numbers with the sequence.
    """
    examples = permuted_indices(positions, size, seed, _PARTNER_TAG)
    return Selection(-1 - positions, examples, positions // size)


def permuted_indices(positions: tf.Tensor, size: int, seed: int, tag: int = _SEED_TAG) -> tf.Tensor:
    """The examples at positions of the endless sequence.

    Args:
      positions: int64 `[B]`.
      size: number of examples, N.
      seed: seed of the experiment.
      tag: tells apart the permutations of one seed.

    Returns:
      int64 `[B]` in [0, N); within each epoch every example occurs once.
    """
    epoch = positions // size
    ones = tf.ones_like(epoch)
    key = tf.stack([ones * seed, epoch, ones * tag], axis=1)
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

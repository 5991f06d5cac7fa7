"""The order of training examples, a pure function of (seed, epoch, step).

Position p of the endless training sequence belongs to epoch p // N, in which a keyed
permutation of the N examples selects the example. There is no shuffle buffer, so a run resumes
at any step at no cost, and the order does not depend on the number of devices or hosts.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf

# Rounds of the keyed permutation; TensorFlow's default.
_ROUNDS = 4
_SEED_TAG = 0x5EED
_PARTNER_TAG = 0x3A7E
_CLASS_TAG = 0x10000


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


@dataclasses.dataclass(frozen=True)
class Natural:
    """Each example once per epoch.

    Attributes:
      size: number of examples.
      seed: of the experiment.
    """

    size: int
    seed: int

    def select(self, positions: tf.Tensor, tag: int = _SEED_TAG) -> Selection:
        """The examples at positions int64 `[B]`; `tag` tells apart the orders of one seed."""
        examples = permuted_indices(positions, self.size, self.seed, tag)
        return Selection(positions, examples, positions // self.size)


class Balanced:
    """Each class equally often: position p belongs to class p mod C.

    The examples of a class come in a keyed permutation, anew each time that all of them were used,
    so that those of rare classes are repeated. Classes without examples are left out.
    """

    def __init__(self, classes: NDArray[np.int32], seed: int):
        """Takes the class number of each example, `[N]`, and the seed of the experiment."""
        self._seed = seed
        self._members = np.argsort(classes, kind="stable").astype(np.int64)
        _, first, counts = np.unique(classes[self._members], return_index=True, return_counts=True)
        self._first, self._counts = first.astype(np.int64), counts.astype(np.int64)

    def select(self, positions: tf.Tensor, tag: int = _SEED_TAG) -> Selection:
        """As `Natural.select`; `epochs` counts how often the class was used up."""
        classes = len(self._counts)
        number, place = positions % classes, positions // classes
        size = tf.gather(tf.constant(self._counts), number)
        # The classes have permutations of their own.
        within = permuted_indices(place, size, self._seed, tag + (1 + number) * _CLASS_TAG)
        member = tf.gather(tf.constant(self._first), number) + within
        return Selection(positions, tf.gather(tf.constant(self._members), member), place // size)


Order = Natural | Balanced


def select_partners(order: Order, positions: tf.Tensor) -> Selection:
    """The examples that those at `positions` are mixed with.

    They are another permutation of the same epoch. Their positions are negative, so that they
    share no random numbers with the sequence.
    """
    partners = order.select(positions, _PARTNER_TAG)
    return dataclasses.replace(partners, positions=-1 - positions)


def permuted_indices(
    positions: tf.Tensor, size: int | tf.Tensor, seed: int, tag: int | tf.Tensor = _SEED_TAG
) -> tf.Tensor:
    """The examples at positions of the endless sequence.

    Args:
      positions: int64 `[B]`.
      size: number of examples, N; a tensor `[B]` if each position has its own.
      seed: seed of the experiment.
      tag: tells apart the permutations of one seed; a tensor `[B]` likewise.

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

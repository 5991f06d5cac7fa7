"""A ring of transitions in variables, drawn uniformly or by priority, inside the graph."""

import math
from typing import NamedTuple

from trainer.compat.keras import tf
from trainer.config.rl import Prioritized, Replay
from trainer.rl.experience.n_step import Transition

# Keeps every priority above 0, so that each transition can be drawn.
_PRIORITY_FLOOR = 1e-6


class Sample(NamedTuple):
    """Drawn transitions, one batch after another.

    Attributes:
      transitions: fields `[N, ...]`.
      indices: int32 `[N]`, where they lie, for new priorities.
      weights: float32 `[N]`, importance weights, the largest of each batch 1.
    """

    transitions: Transition
    indices: tf.Tensor
    weights: tf.Tensor


class Ring(tf.Module):
    """The newest transitions of a batch of environments; the oldest row is overwritten.

    A row holds one transition of each environment, so a write never wraps.
    """

    def __init__(
        self,
        capacity: int,
        environments: int,
        observation_shape: tuple[int, ...],
        observation_dtype: tf.DType,
    ):
        """Makes room for `capacity` transitions, rounded down to whole rows."""
        super().__init__()
        self._rows = capacity // environments
        self._environments = environments

        def variable(shape: tuple[int, ...], dtype: tf.DType) -> tf.Variable:
            return tf.Variable(tf.zeros([self.slots, *shape], dtype), trainable=False)

        self._fields = Transition(
            observation=variable(observation_shape, observation_dtype),
            action=variable((), tf.int32),
            reward=variable((), tf.float32),
            discount=variable((), tf.float32),
            next_observation=variable(observation_shape, observation_dtype),
        )
        self._written = tf.Variable(0, dtype=tf.int32, trainable=False)

    @property
    def slots(self) -> int:
        """How many transitions there is room for."""
        return self._rows * self._environments

    def size(self) -> tf.Tensor:
        """How many transitions there are, int32."""
        return tf.minimum(self._written, self._rows) * self._environments

    def write(self, transitions: Transition, counts: tf.Tensor) -> tf.Tensor:
        """Writes one row, fields `[environments, ...]`.

        Args:
          transitions: one of each environment.
          counts: scalar bool; False leaves the row to the next write, as before the first.

        Returns:
          Where they lie, int32 `[environments]`.
        """
        first = self._written % self._rows * self._environments
        indices = first + tf.range(self._environments)
        for variable, values in zip(self._fields, transitions, strict=True):
            variable.scatter_nd_update(indices[:, None], values)
        following = self._written + tf.cast(counts, tf.int32)
        # Twice round the ring is once round it: the count must not overflow.
        self._written.assign(
            tf.where(following >= 2 * self._rows, following - self._rows, following)
        )
        return indices

    def read(self, indices: tf.Tensor) -> Transition:
        """The transitions at `indices`, int32 `[N]`."""
        return Transition(*(tf.gather(variable, indices) for variable in self._fields))


class UniformReplay(tf.Module):
    """Every transition is as likely as every other."""

    def __init__(self, ring: Ring):
        """Draws from `ring`."""
        super().__init__()
        self.ring = ring

    def add(self, transitions: Transition, counts: tf.Tensor) -> None:
        """Writes one row; see `Ring.write`."""
        self.ring.write(transitions, counts)

    def sample(self, batches: int, size: int, seed: tf.Tensor, progress: tf.Tensor) -> Sample:
        """Draws `batches` of `size` transitions with replacement; `seed` is int32 `[2]`."""
        del progress
        number = batches * size
        indices = tf.random.stateless_uniform([number], seed, 0, self.ring.size(), dtype=tf.int32)
        return Sample(self.ring.read(indices), indices, tf.ones([number]))

    def update_priorities(self, indices: tf.Tensor, td_error: tf.Tensor) -> None:
        """Nothing to do: there are none."""


class PrioritizedReplay(tf.Module):
    """Proportional prioritized replay (Schaul et al., 2016, section 3.3 and algorithm 1).

    P(i) = p_i^alpha / sum p^alpha with p_i = |delta_i| + epsilon; a new transition gets the
    largest priority so far. The sums are a binary tree in one variable: node k has the
    children 2k and 2k + 1, node 1 is the root, and the leaves come last.
    """

    def __init__(self, ring: Ring, config: Prioritized):
        """Draws from `ring` by priority."""
        super().__init__()
        self.ring = ring
        self._config = config
        self._depth = _depth(ring.slots)
        self._leaves = 2**self._depth
        self._tree = tf.Variable(tf.zeros([2 * self._leaves]), trainable=False)
        self._largest = tf.Variable(1.0, trainable=False)

    def add(self, transitions: Transition, counts: tf.Tensor) -> None:
        """Writes one row with the largest priority so far."""
        indices = self.ring.write(transitions, counts)
        priority = tf.where(counts, self._largest**self._config.priority_exponent, 0.0)
        self._set(indices, tf.fill(tf.shape(indices), priority))

    def sample(self, batches: int, size: int, seed: tf.Tensor, progress: tf.Tensor) -> Sample:
        """Draws batches of transitions, one from each of `size` equal parts of the mass.

        Args:
          batches: how many; each is spread over the whole ring.
          size: transitions of one batch.
          seed: int32 `[2]`.
          progress: share of the run done; the importance exponent rises to 1 with it.
        """
        mass = self._tree[1]
        offsets = tf.random.stateless_uniform([batches, size], seed)
        target = tf.reshape((tf.range(size, dtype=tf.float32) + offsets) * (mass / size), [-1])
        node = tf.ones([batches * size], tf.int32)
        for _ in range(self._depth):
            left = tf.gather(self._tree, 2 * node)
            right = tf.gather(self._tree, 2 * node + 1)
            # Rounding must not lead into an empty half.
            go_right = (target >= left) & (right > 0.0)
            target = tf.where(go_right, target - left, target)
            node = 2 * node + tf.cast(go_right, tf.int32)
        indices = node - self._leaves
        probability = tf.gather(self._tree, node) / mass
        first = self._config.importance_exponent
        exponent = first + (1 - first) * progress
        weights = (tf.cast(self.ring.size(), tf.float32) * probability) ** -exponent
        weights = tf.reshape(weights, [batches, size])
        weights /= tf.reduce_max(weights, axis=1, keepdims=True)
        return Sample(self.ring.read(indices), indices, tf.reshape(weights, [-1]))

    def update_priorities(self, indices: tf.Tensor, td_error: tf.Tensor) -> None:
        """Gives the transitions at `indices` the priorities of `td_error`, both `[N]`."""
        priority = tf.abs(td_error) + _PRIORITY_FLOOR
        self._largest.assign(tf.maximum(self._largest, tf.reduce_max(priority)))
        self._set(indices, priority**self._config.priority_exponent)

    def _set(self, indices: tf.Tensor, values: tf.Tensor) -> None:
        node = indices + self._leaves
        self._tree.scatter_nd_update(node[:, None], values)
        for _ in range(self._depth):
            node = node // 2
            children = tf.gather(self._tree, 2 * node) + tf.gather(self._tree, 2 * node + 1)
            self._tree.scatter_nd_update(node[:, None], children)


def make_replay(
    config: Replay,
    environments: int,
    replicas: int,
    observation_shape: tuple[int, ...],
    observation_dtype: tf.DType,
) -> UniformReplay | PrioritizedReplay:
    """One replica's replay, its share of the capacity."""
    ring = Ring(config.capacity // replicas, environments, observation_shape, observation_dtype)
    if isinstance(config, Prioritized):
        return PrioritizedReplay(ring, config)
    return UniformReplay(ring)


def memory_bytes(
    config: Replay, observation_shape: tuple[int, ...], observation_dtype: tf.DType
) -> int:
    """What the replay will take, over all replicas, bytes."""
    observation = math.prod(observation_shape) * observation_dtype.size
    # Action, reward and discount take 4 bytes each.
    ring = config.capacity * (2 * observation + 12)
    if not isinstance(config, Prioritized):
        return ring
    # The tree has two nodes of 4 bytes for each leaf, and a power of two of leaves.
    return ring + 8 * 2 ** _depth(config.capacity)


def _depth(slots: int) -> int:
    """Levels below the root of a binary tree with a leaf for each slot."""
    return max(1, math.ceil(math.log2(slots)))

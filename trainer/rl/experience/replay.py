"""Replay of n-step transitions, drawn uniformly or by priority, inside the graph."""

import abc
import math
from typing import NamedTuple

from trainer.compat.keras import tf
from trainer.config.agents import PrioritizedReplay as PrioritizedConfig
from trainer.config.agents import Replay as ReplayConfig
from trainer.rl.experience import ring
from trainer.rl.experience.n_step import NStep
from trainer.rl.experience.ring import Ring
from trainer.rl.experience.steps import Steps, Transition
from trainer.rl.specs import EnvironmentSpec

# Keeps every priority above 0, so that each transition can be drawn.
_PRIORITY_FLOOR = 1e-6


class Sample(NamedTuple):
    """Transitions of several batches, one batch after another.

    Attributes:
      transitions: fields `[N, ...]`.
      slots: int64 `[N]`, where they are stored.
      weights: float32 `[N]`, importance weights; the largest of each batch is 1.
    """

    transitions: Transition
    slots: tf.Tensor
    weights: tf.Tensor


class Replay(tf.Module, abc.ABC):
    """Stores the steps of one replica as transitions and draws batches from them."""

    def __init__(self, ring: Ring, n_step: NStep):
        """Draws from `ring`, which receives the transitions of `n_step`."""
        super().__init__()
        self._ring = ring
        self._n_step = n_step

    def add(self, steps: Steps) -> None:
        """Stores steps, fields `[T, B, ...]`."""
        transitions, valid = self._n_step(steps)
        self._stored(self._ring.write(transitions, valid), valid)

    def end_episodes(self) -> None:
        """Call it before environments start again in the middle of an episode."""
        self._n_step.end_episodes()

    def size(self) -> tf.Tensor:
        """The number of transitions stored, int64."""
        return self._ring.size()

    def fill(self) -> tf.Tensor:
        """The stored fraction of the capacity, float32."""
        return tf.cast(self.size(), tf.float32) / self._ring.slots

    @abc.abstractmethod
    def batches(self, count: int, batch_size: int, seed: tf.Tensor, progress: tf.Tensor) -> Sample:
        """Draws `count` batches of `batch_size` transitions each.

        Args:
          count: number of batches, each drawn from the whole replay.
          batch_size: transitions per batch.
          seed: int32 `[2]`.
          progress: fraction of the run done, in [0, 1].
        """

    @abc.abstractmethod
    def feedback(self, sample: Sample, priorities: tf.Tensor) -> None:
        """Takes the priorities `[N]` that an update gave the transitions of a sample."""

    @abc.abstractmethod
    def _stored(self, slots: tf.Tensor, valid: tf.Tensor) -> None:
        """Called after T rows have been written to slots `[T * B]`, valid is `[T]`."""


class UniformReplay(Replay):
    """Draws every transition with equal probability, with replacement."""

    def batches(self, count: int, batch_size: int, seed: tf.Tensor, progress: tf.Tensor) -> Sample:
        """See the base class."""
        del progress
        number = count * batch_size
        slots = tf.random.stateless_uniform([number], seed, 0, self.size(), dtype=tf.int64)
        return Sample(self._ring.read(slots), slots, tf.ones([number]))

    def feedback(self, sample: Sample, priorities: tf.Tensor) -> None:
        """Does nothing: there are no priorities."""

    def _stored(self, slots: tf.Tensor, valid: tf.Tensor) -> None:
        """Does nothing."""


class PrioritizedReplay(Replay):
    """Proportional prioritized replay (Schaul et al., 2016, section 3.3 and algorithm 1).

    P(i) = p_i^alpha / Σ p^alpha with p_i = |delta_i| + epsilon; a new transition gets the
    largest priority so far. The sums are a binary tree in one variable: node k has the
    children 2k and 2k + 1, node 1 is the root, and the leaves come last.
    """

    def __init__(self, ring: Ring, n_step: NStep, num_envs: int, config: PrioritizedConfig):
        """Draws from `ring` by priority."""
        super().__init__(ring, n_step)
        self._config = config
        self._num_envs = num_envs
        self._depth = _depth(ring.slots + num_envs)
        self._leaves = 2**self._depth
        self._tree = tf.Variable(tf.zeros([2 * self._leaves]), trainable=False)
        self._largest = tf.Variable(1.0, trainable=False)

    def batches(self, count: int, batch_size: int, seed: tf.Tensor, progress: tf.Tensor) -> Sample:
        """Draws one transition from each of `batch_size` equal parts of the mass per batch.

        The importance weights are (N P(i))^-beta, with beta rising linearly to 1.
        """
        mass = tf.gather(self._tree, 1)
        offsets = tf.random.stateless_uniform([count, batch_size], seed)
        strata = tf.range(batch_size, dtype=tf.float32)
        target = tf.reshape((strata + offsets) * (mass / batch_size), [-1])
        node = tf.ones([count * batch_size], tf.int64)
        for _ in range(self._depth):
            left = tf.gather(self._tree, 2 * node)
            right = tf.gather(self._tree, 2 * node + 1)
            # Rounding must not lead into an empty half.
            go_right = (target >= left) & (right > 0.0)
            target = tf.where(go_right, target - left, target)
            node = 2 * node + tf.cast(go_right, tf.int64)
        slots = node - self._leaves
        probability = tf.gather(self._tree, node) / mass
        beta_0 = self._config.importance_exponent
        beta = beta_0 + (1 - beta_0) * progress
        weights = (tf.cast(self.size(), tf.float32) * probability) ** -beta
        weights = tf.reshape(weights, [count, batch_size])
        weights /= tf.reduce_max(weights, axis=1, keepdims=True)
        return Sample(self._ring.read(slots), slots, tf.reshape(weights, [-1]))

    def feedback(self, sample: Sample, priorities: tf.Tensor) -> None:
        """Sets the priorities of the sampled transitions."""
        priorities = tf.abs(priorities) + _PRIORITY_FLOOR
        self._largest.assign(tf.maximum(self._largest, tf.reduce_max(priorities)))
        self._set(sample.slots, priorities**self._config.priority_exponent)

    def _stored(self, slots: tf.Tensor, valid: tf.Tensor) -> None:
        """Gives new transitions the largest priority so far, invalid ones none."""
        largest = self._largest**self._config.priority_exponent
        self._set(slots, tf.repeat(tf.where(valid, largest, 0.0), self._num_envs))

    def _set(self, slots: tf.Tensor, values: tf.Tensor) -> None:
        node = slots + self._leaves
        self._tree.scatter_nd_update(node[:, None], values)
        for _ in range(self._depth):
            node = node // 2
            children = tf.gather(self._tree, 2 * node) + tf.gather(self._tree, 2 * node + 1)
            self._tree.scatter_nd_update(node[:, None], children)


def make_replay(
    config: ReplayConfig,
    n: int,
    num_envs: int,
    replicas: int,
    spec: EnvironmentSpec,
    compiles: bool,
) -> Replay:
    """One replica's replay, with its share of the capacity.

    Args:
      config: the `agent.replay` section; its capacity is that of all replicas.
      n: rewards summed per transition.
      num_envs: environments of this replica.
      replicas: how many share the capacity.
      spec: of the environment.
      compiles: whether XLA compiles the sums of rewards.
    """
    storage = Ring(config.capacity // replicas, num_envs, spec)
    n_step = NStep(n, num_envs, spec, compiles)
    if isinstance(config, PrioritizedConfig):
        return PrioritizedReplay(storage, n_step, num_envs, config)
    return UniformReplay(storage, n_step)


def memory_bytes(config: ReplayConfig, spec: EnvironmentSpec) -> int:
    """The memory of the replay, over all replicas, bytes."""
    stored = ring.memory_bytes(config.capacity, spec)
    if not isinstance(config, PrioritizedConfig):
        return stored
    # Two nodes of 4 bytes per leaf.
    return stored + 8 * 2 ** _depth(config.capacity)


def _depth(slots: int) -> int:
    """Levels below the root of a binary tree with a leaf per slot."""
    return max(1, math.ceil(math.log2(slots)))

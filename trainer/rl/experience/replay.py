"""Replay of n-step transitions, drawn uniformly or by priority, inside the graph."""

import abc
from typing import NamedTuple

from trainer.compat.keras import tf
from trainer.config.agents import PrioritizedReplay as PrioritizedConfig
from trainer.config.agents import Replay as ReplayConfig
from trainer.rl.experience import frames as frames_module
from trainer.rl.experience import ring, sum_tree
from trainer.rl.experience.frames import Frames
from trainer.rl.experience.n_step import NStep
from trainer.rl.experience.ring import Ring
from trainer.rl.experience.steps import Steps, Transition
from trainer.rl.experience.sum_tree import SumTree
from trainer.rl.specs import EnvironmentSpec

# Keeps every priority above 0, so that each transition can be drawn.
_PRIORITY_FLOOR = 1e-6


class Sample(NamedTuple):
    """Transitions of several batches, one batch after another.

    Attributes:
      transitions: fields `[N, ...]`.
      slots: int64 `[N]`, where they are stored.
      weights: float32 `[N]`, importance weights (N P(i))^-beta, not yet normalized by the largest
        of a batch, which may be another replica's.
    """

    transitions: Transition
    slots: tf.Tensor
    weights: tf.Tensor


class Replay(tf.Module, abc.ABC):
    """Stores the steps of one replica as transitions and draws batches from them."""

    def __init__(self, ring: Ring, n_step: NStep, frames: Frames | None):
        """Draws from `ring`, which receives the transitions of `n_step`.

        With `frames`, both hold references in place of observations.
        """
        super().__init__()
        self._ring = ring
        self._n_step = n_step
        self._frames = frames

    def add(self, steps: Steps) -> None:
        """Stores steps, fields `[T, B, ...]`."""
        if self._frames is not None:
            steps = self._frames.write(steps)
        transitions, valid = self._n_step(steps)
        self._stored(self._ring.write(transitions, valid), valid)
        if self._frames is not None:
            self._drop_lost(self._frames, 2 * steps.reward.shape[0] + 1)

    def _drop_lost(self, frames: Frames, most: int) -> None:
        """Drops rows of which a frame was overwritten: two per step at most, one per restart."""
        slots, stored = self._ring.oldest(most)
        shape = slots.shape
        references = self._ring.read(tf.reshape(slots, [-1])).observation
        lost = tf.reduce_any(frames.lost(tf.reshape(references, [*shape, 2])), axis=1) & stored
        self._dropped(tf.reshape(tf.where(lost[:, None], slots, self._ring.slots), [-1]))
        self._ring.drop(tf.reduce_sum(tf.cast(lost, tf.int64)))

    def _read(self, slots: tf.Tensor) -> Transition:
        """The transitions at slots, int64 `[N]`."""
        transitions = self._ring.read(slots)
        if self._frames is None:
            return transitions
        environments = slots % self._ring.num_envs
        return transitions._replace(
            observation=self._frames.read(transitions.observation, environments),
            next_observation=self._frames.read(transitions.next_observation, environments),
        )

    def end_episodes(self) -> None:
        """Call it before environments start again in the middle of an episode."""
        self._n_step.end_episodes()
        if self._frames is not None:
            self._frames.end_episodes()

    def clear(self) -> None:
        """Drops all transitions, with their priorities."""
        self._ring.clear()

    def size(self) -> tf.Tensor:
        """The number of transitions stored, int64."""
        return self._ring.size()

    def written(self) -> tf.Tensor:
        """The number of transitions stored so far, at most the capacity; of them some may be lost.

        Unlike `size` it depends only on the number of steps.
        """
        return self._ring.written()

    def fill(self) -> tf.Tensor:
        """The stored fraction of the capacity, float32."""
        return tf.cast(self.size(), tf.float32) / self._ring.slots

    def example(self, number: int) -> Sample:
        """`number` times the first slot, in the form of `batches`; also of an empty replay."""
        slots = tf.zeros([number], tf.int64)
        return Sample(self._read(slots), slots, tf.ones([number]))

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
    def _dropped(self, slots: tf.Tensor) -> None:
        """Called before the transitions at slots int64 `[N]` are dropped."""

    @abc.abstractmethod
    def _stored(self, slots: tf.Tensor, valid: tf.Tensor) -> None:
        """Called after T rows have been written to slots `[T * B]`, valid is `[T]`."""


class UniformReplay(Replay):
    """Draws every transition with equal probability, with replacement."""

    def batches(self, count: int, batch_size: int, seed: tf.Tensor, progress: tf.Tensor) -> Sample:
        """See the base class."""
        del progress
        number = count * batch_size
        numbers = tf.random.stateless_uniform([number], seed, 0, self.size(), dtype=tf.int64)
        slots = self._ring.locate(numbers)
        return Sample(self._read(slots), slots, tf.ones([number]))

    def feedback(self, sample: Sample, priorities: tf.Tensor) -> None:
        """Does nothing: there are no priorities."""

    def _dropped(self, slots: tf.Tensor) -> None:
        """Does nothing."""

    def _stored(self, slots: tf.Tensor, valid: tf.Tensor) -> None:
        """Does nothing."""


class PrioritizedReplay(Replay):
    """Proportional prioritized replay (Schaul et al., 2016, section 3.3 and algorithm 1).

    P(i) = p_i^alpha / Σ p^alpha with p_i = |delta_i| + epsilon; a new transition gets the
    largest priority so far.
    """

    def __init__(self, ring: Ring, n_step: NStep, frames: Frames | None, config: PrioritizedConfig):
        """Draws from `ring` by priority."""
        super().__init__(ring, n_step, frames)
        self._config = config
        # The values are p^alpha.
        self._tree = SumTree(ring.slots + ring.num_envs)
        self._largest = tf.Variable(1.0, trainable=False)

    def clear(self) -> None:
        """See the base class."""
        super().clear()
        self._tree.clear()
        self._largest.assign(1.0)

    def batches(self, count: int, batch_size: int, seed: tf.Tensor, progress: tf.Tensor) -> Sample:
        """Draws one transition from each of `batch_size` equal parts of the mass per batch.

        The importance weights are (N P(i))^-beta, with beta rising linearly to 1.
        """
        mass = self._tree.total()
        offsets = tf.random.stateless_uniform([count, batch_size], seed, dtype=tf.float64)
        strata = tf.range(batch_size, dtype=tf.float64)
        targets = (strata + offsets) * (mass / batch_size)
        slots = self._tree.find(tf.reshape(targets, [-1]))
        probability = self._tree.values(slots) / mass
        beta_0 = self._config.importance_exponent
        beta = beta_0 + (1 - beta_0) * progress
        ratio = tf.cast(tf.cast(self.size(), tf.float64) * probability, tf.float32)
        return Sample(self._read(slots), slots, ratio**-beta)

    def feedback(self, sample: Sample, priorities: tf.Tensor) -> None:
        """Sets the priorities of the sampled transitions."""
        priorities = tf.abs(priorities) + _PRIORITY_FLOOR
        self._largest.assign(tf.maximum(self._largest, tf.reduce_max(priorities)))
        self._set(sample.slots, priorities)

    def _stored(self, slots: tf.Tensor, valid: tf.Tensor) -> None:
        """Gives new transitions the largest priority so far, invalid ones none."""
        self._set(slots, tf.repeat(tf.where(valid, self._largest, 0.0), self._ring.num_envs))

    def _dropped(self, slots: tf.Tensor) -> None:
        """Takes their priorities."""
        self._set(slots, tf.zeros([slots.shape[0]]))

    def _set(self, slots: tf.Tensor, priorities: tf.Tensor) -> None:
        # 0 stays 0, whatever the exponent is.
        powers = tf.where(priorities > 0.0, priorities**self._config.priority_exponent, 0.0)
        self._tree.assign(slots, tf.cast(powers, tf.float64))


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
    rows = config.capacity // replicas // num_envs
    frames = None
    if frames_module.applies(spec):
        frames = Frames(rows, n, num_envs, spec)
        spec = frames_module.reference_spec(spec)
    storage = Ring(rows * num_envs, num_envs, spec)
    n_step = NStep(n, num_envs, spec, compiles)
    if isinstance(config, PrioritizedConfig):
        return PrioritizedReplay(storage, n_step, frames, config)
    return UniformReplay(storage, n_step, frames)


def memory_bytes(config: ReplayConfig, spec: EnvironmentSpec) -> int:
    """The memory of the replay, over all replicas, bytes."""
    stored = 0
    if frames_module.applies(spec):
        stored = frames_module.memory_bytes(config.capacity, spec)
        spec = frames_module.reference_spec(spec)
    stored += ring.memory_bytes(config.capacity, spec)
    if not isinstance(config, PrioritizedConfig):
        return stored
    return stored + sum_tree.memory_bytes(config.capacity)

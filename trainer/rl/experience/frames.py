"""Frames of stacked observations, each stored once.

Consecutive observations of `FrameStack` share all but one of their frames. Here they are replaced
by references, from which they are rebuilt.
"""

import math

from trainer.compat.keras import tf
from trainer.rl.experience.steps import Steps
from trainer.rl.specs import EnvironmentSpec

# One frame more per so many transitions, for the final observations of episodes.
_TRANSITIONS_PER_SPARE_FRAME = 16


def applies(spec: EnvironmentSpec) -> bool:
    """Whether observations are stacks of pixels."""
    return spec.frame_stack > 1 and spec.observation_dtype == tf.uint8


def reference_spec(spec: EnvironmentSpec) -> EnvironmentSpec:
    """The spec of references: int64 `[2]`, the position of the newest frame and its age."""
    return EnvironmentSpec((2,), tf.int64, spec.action)


class Frames(tf.Module):
    """The newest frames of each of B environments, in the order of time.

    The frames of an environment have positions 0, 1, 2, …; an ended episode takes one more than
    it has steps, for its final observation. Position p is stored at p modulo the capacity. The
    age of a frame is the number of frames before it in its episode.
    """

    def __init__(self, rows: int, n_step: int, num_envs: int, spec: EnvironmentSpec):
        """Allocates frames for the transitions of `rows` steps of each environment.

        Args:
          rows: transitions per environment.
          n_step: steps per transition.
          num_envs: B.
          spec: of the environment with stacked observations `[H, W, stack * C]`.
        """
        super().__init__()
        self._stack = spec.frame_stack
        spare = math.ceil(rows / _TRANSITIONS_PER_SPARE_FRAME)
        # So that even of episodes of one step half of the rows are kept.
        self._capacity = rows + spare + 2 * n_step + self._stack
        self._num_envs = num_envs
        # One extra frame takes those that do not count.
        shape = [num_envs * self._capacity + 1, *_frame_shape(spec)]
        self._frames = tf.Variable(tf.zeros(shape, spec.observation_dtype), trainable=False)
        # Of the next step's observation.
        self._position = tf.Variable(tf.zeros([num_envs], tf.int64), trainable=False)
        self._age = tf.Variable(tf.zeros([num_envs], tf.int64), trainable=False)

    def write(self, steps: Steps) -> Steps:
        """Stores the newest frames of T steps, fields `[T, B, ...]`.

        Returns:
          The steps with references int64 `[T, B, 2]` as observations.
        """
        ended = tf.cast(steps.ended, tf.int64)
        position = self._position + tf.cumsum(1 + ended, axis=0, exclusive=True)
        ages, age = [], self._age.value()
        for ends in tf.unstack(steps.ended):
            ages.append(age)
            age = tf.where(ends, tf.zeros_like(age), age + 1)
        self._position.assign_add(tf.reduce_sum(1 + ended, axis=0))
        self._age.assign(age)
        # A step that continues an episode writes the frame of the last next observation again.
        self._store(position + 1, steps.next_observation)
        self._store(position, steps.observation)
        reference = tf.stack([position, tf.stack(ages)], axis=-1)
        return steps._replace(observation=reference, next_observation=reference + 1)

    def _store(self, positions: tf.Tensor, observations: tf.Tensor) -> None:
        """Stores the newest frames of stacks `[T, B, ...]` at positions `[T, B]`."""
        channels = self._frames.shape[-1]
        newest = tf.reshape(observations[..., -channels:], [-1, *self._frames.shape[1:]])
        indices = self._indices(positions, tf.range(self._num_envs, dtype=tf.int64))
        # Steps may be more than fit.
        fits = positions > self._position - self._capacity
        indices = tf.where(fits, indices, self._num_envs * self._capacity)
        self._frames.scatter_nd_update(tf.reshape(indices, [-1, 1]), newest)

    def end_episodes(self) -> None:
        """Begins a new episode in each environment, as by truncation."""
        self._position.assign_add(tf.ones_like(self._position))
        self._age.assign(tf.zeros_like(self._age))

    def lost(self, references: tf.Tensor) -> tf.Tensor:
        """Which observations `[..., B, 2]` may lack a frame, bool `[..., B]`.

        Of the observations of an environment these are the oldest ones.
        """
        return references[..., 0] - (self._stack - 1) <= self._position - self._capacity

    def read(self, references: tf.Tensor, environments: tf.Tensor) -> tf.Tensor:
        """The stacks of references.

        Args:
          references: int64 `[N, 2]`.
          environments: int64 `[N]`, to which each belongs.

        Returns:
          uint8 `[N, H, W, stack * C]`, the oldest frame first.
        """
        position, age = references[:, 0], references[:, 1]
        # The first frame of an episode stands for those before it.
        frames = [
            tf.gather(self._frames, self._indices(position - tf.minimum(age, back), environments))
            for back in reversed(range(self._stack))
        ]
        return tf.concat(frames, axis=-1)

    def _indices(self, positions: tf.Tensor, environments: tf.Tensor) -> tf.Tensor:
        return environments * self._capacity + positions % self._capacity


def memory_bytes(capacity: int, spec: EnvironmentSpec) -> int:
    """The memory of the frames of `capacity` transitions, bytes."""
    spare = math.ceil(capacity / _TRANSITIONS_PER_SPARE_FRAME)
    return (capacity + spare) * math.prod(_frame_shape(spec)) * spec.observation_dtype.size


def _frame_shape(spec: EnvironmentSpec) -> tuple[int, ...]:
    *rest, last = spec.observation_shape
    return (*rest, last // spec.frame_stack)

"""Storage of transitions in variables, overwritten in the order of writing."""

import math

from trainer.compat.keras import tf
from trainer.rl.experience.steps import Transition
from trainer.rl.specs import EnvironmentSpec


class Ring(tf.Module):
    """The newest transitions of a batch of environments.

    A row holds one transition of each environment; the oldest row is overwritten. One extra
    row takes the transitions that do not count, which keeps shapes static.
    """

    def __init__(self, capacity: int, num_envs: int, spec: EnvironmentSpec):
        """Allocates `capacity` transitions, rounded down to whole rows."""
        super().__init__()
        self._rows = capacity // num_envs
        self._num_envs = num_envs
        shape, dtype = spec.observation_shape, spec.observation_dtype

        def variable(shape: tuple[int, ...], dtype: tf.DType) -> tf.Variable:
            return tf.Variable(tf.zeros([self.slots + num_envs, *shape], dtype), trainable=False)

        self._fields = Transition(
            observation=variable(shape, dtype),
            # There is no scatter of int32 on a GPU.
            action=variable((), tf.int64),
            reward=variable((), tf.float32),
            discount=variable((), tf.float32),
            next_observation=variable(shape, dtype),
        )
        self._written = tf.Variable(0, dtype=tf.int64, trainable=False)

    @property
    def slots(self) -> int:
        """The number of transitions that fit."""
        return self._rows * self._num_envs

    def size(self) -> tf.Tensor:
        """The number of transitions stored, int64."""
        return tf.minimum(self._written, self._rows) * self._num_envs

    def write(self, transitions: Transition, valid: tf.Tensor) -> tf.Tensor:
        """Writes T rows.

        Args:
          transitions: fields `[T, num_envs, ...]`.
          valid: bool `[T]`; a row that is not valid is not stored.

        Returns:
          Their slots, int64 `[T * num_envs]`; of invalid rows those of the extra row.
        """
        counted = tf.cast(valid, tf.int64)
        rows = (self._written + tf.cumsum(counted, exclusive=True)) % self._rows
        rows = tf.where(valid, rows, self._rows)
        slots = rows[:, None] * self._num_envs + tf.range(self._num_envs, dtype=tf.int64)
        slots = tf.reshape(slots, [-1])
        for variable, values in zip(self._fields, transitions, strict=True):
            flat = tf.reshape(values, [-1, *variable.shape[1:]])
            variable.scatter_nd_update(slots[:, None], tf.cast(flat, variable.dtype))
        self._written.assign_add(tf.reduce_sum(counted))
        return slots

    def read(self, slots: tf.Tensor) -> Transition:
        """The transitions at `slots`, int64 `[N]`."""
        stored = Transition(*(tf.gather(variable, slots) for variable in self._fields))
        return stored._replace(action=tf.cast(stored.action, tf.int32))


def memory_bytes(capacity: int, spec: EnvironmentSpec) -> int:
    """The memory of a ring, bytes."""
    observation = math.prod(spec.observation_shape) * spec.observation_dtype.size
    # An action has 8 bytes, reward and discount have 4 each.
    return capacity * (2 * observation + 16)

"""Storage of transitions in variables, overwritten in the order of writing."""

import math

from trainer.compat.keras import tf
from trainer.rl.experience.steps import Transition
from trainer.rl.specs import EnvironmentSpec


class Ring(tf.Module):
    """The newest transitions of a batch of environments.

    A row holds one transition of each environment; the oldest row is overwritten. One extra
    row takes the transitions that do not count, which keeps shapes static.

    Attributes:
      num_envs: transitions per row.
    """

    def __init__(self, capacity: int, num_envs: int, spec: EnvironmentSpec):
        """Allocates `capacity` transitions, rounded down to whole rows."""
        super().__init__()
        self._rows = capacity // num_envs
        self.num_envs = num_envs
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
        # Rows so far, and how many of them, the oldest, are not kept.
        self._written = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._dropped = tf.Variable(0, dtype=tf.int64, trainable=False)

    @property
    def slots(self) -> int:
        """The number of transitions that fit."""
        return self._rows * self.num_envs

    def size(self) -> tf.Tensor:
        """The number of transitions stored, int64."""
        return (self._written - self._first()) * self.num_envs

    def written(self) -> tf.Tensor:
        """The number of transitions written so far, at most the number of slots, int64."""
        return tf.minimum(self._written, self._rows) * self.num_envs

    def _first(self) -> tf.Tensor:
        """The number of the oldest row that is stored, counted from the first ever written."""
        return tf.maximum(self._written - self._rows, self._dropped)

    def locate(self, numbers: tf.Tensor) -> tf.Tensor:
        """The slots of transitions numbered from 0 to size() - 1, int64 `[N]`."""
        first = self._first()
        # Where no row was dropped, a transition's number is its slot.
        is_whole = first == tf.maximum(self._written - self._rows, 0)
        start = tf.where(is_whole, tf.zeros_like(first), first % self._rows * self.num_envs)
        return (start + numbers) % self.slots

    def oldest(self, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The slots int64 `[count, num_envs]` of the oldest rows, and which of them are stored."""
        rows = self._first() + tf.range(count, dtype=tf.int64)
        slots = (rows % self._rows)[:, None] * self.num_envs
        return slots + tf.range(self.num_envs, dtype=tf.int64), rows < self._written

    def drop(self, count: tf.Tensor) -> None:
        """Drops the `count` oldest rows, a scalar int64."""
        self._dropped.assign(self._first() + count)

    def clear(self) -> None:
        """Drops all rows."""
        self._written.assign(0)
        self._dropped.assign(0)

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
        slots = rows[:, None] * self.num_envs + tf.range(self.num_envs, dtype=tf.int64)
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

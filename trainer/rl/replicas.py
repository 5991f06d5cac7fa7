"""What each replica of this process has of its own: environments, experience, sums."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from trainer.compat.keras import tf
from trainer.engine.distribution import Runtime

T = TypeVar("T")
HOST = "/cpu:0"


class PerReplica(Generic[T]):
    """One object for each replica of this process."""

    def __init__(self, each: Sequence[T], first: int):
        """Holds objects.

        Args:
          each: of the local replicas, in their order.
          first: global number of the first of them.
        """
        self._each = tuple(each)
        self._first = first

    def __iter__(self) -> Iterator[T]:
        return iter(self._each)

    def __getitem__(self, index: int) -> T:
        return self._each[index]

    def __len__(self) -> int:
        return len(self._each)

    def own(self) -> T:
        """The object of the replica in whose context this is called."""
        if len(self._each) == 1:
            return self._each[0]
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        return self._each[int(tf.get_static_value(number)) - self._first]

    def tracked(self) -> tf.Module:
        """All objects as one, which a checkpoint saves in their order."""
        module = tf.Module()
        module.items = list(self._each)
        return module


@dataclasses.dataclass(frozen=True)
class Replicas:
    """The replicas of a run.

    Attributes:
      strategy: runs a function on each.
      total: their number in all processes.
      numbers: the global numbers of those of this process.
    """

    strategy: tf.distribute.Strategy
    total: int
    numbers: range

    @classmethod
    def of(cls, runtime: Runtime) -> "Replicas":
        """The replicas of a runtime."""
        return cls(runtime.strategy, runtime.replicas, runtime.global_replica_ids)

    def make(self, create: Callable[[int], T], on_host: bool = False) -> PerReplica[T]:
        """An object for each local replica, created from its global number.

        Args:
          create: creates one.
          on_host: whether its variables lie on the host instead of the replica's device.
        """
        devices = self.strategy.extended.worker_devices
        each = []
        for number, device in zip(self.numbers, devices, strict=True):
            with tf.device(HOST if on_host else device):
                each.append(create(number))
        return PerReplica(each, self.numbers[0])

"""The interface of learning from collected steps: from a replay, or from each rollout once."""

import abc
from collections.abc import Mapping
from typing import Any

from trainer.compat.keras import tf
from trainer.engine.checkpoints import State
from trainer.rl.replicas import PerReplica


class Learning(abc.ABC):
    """Updates an agent with the steps of each iteration.

    Attributes:
      sums: of each replica, `[3 + figures]`: what `Learner.learn` sums, since the report.
      state: what a resume must restore, beside agent and learner.
    """

    sums: PerReplica[tf.Variable]
    state: State

    @abc.abstractmethod
    def compile(self) -> None:
        """Compiles the updates before the first iteration, where they begin later."""

    @abc.abstractmethod
    def learn_from(self, steps: Any, progress: tf.Tensor) -> None:
        """Learns from the steps of one iteration; call it in a graph, in cross-replica context.

        Args:
          steps: `Steps` of each replica, fields `[T, B, ...]`.
          progress: fraction of the run done, scalar float32 in [0, 1].
        """

    @abc.abstractmethod
    def end_episodes(self) -> None:
        """Call it before environments start again in the middle of an episode."""

    @abc.abstractmethod
    def refill(self, step: int) -> str:
        """Empties experience that checkpoints do not hold; call it when a run starts at `step`.

        Returns:
          What is missing and why; empty if nothing is.
        """

    def figures(self) -> Mapping[str, float]:
        """Numbers that describe the experience, for reports."""
        return {}

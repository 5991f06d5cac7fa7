"""What an agent must know of an environment: observations and actions, as data."""

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Processes that only step environments do without TensorFlow.
    from trainer.compat.keras import tf


@dataclasses.dataclass(frozen=True)
class Discrete:
    """Actions 0 to n - 1, int32 `[B]`."""

    n: int


@dataclasses.dataclass(frozen=True)
class Box:
    """Continuous actions float32 `[B, A]`, each between its bounds.

    Attributes:
      low: lower bound of each of the A components.
      high: upper bounds.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]


ActionSpec = Discrete | Box


@dataclasses.dataclass(frozen=True)
class EnvironmentSpec:
    """Observations and actions of an environment.

    Attributes:
      observation_shape: of one observation, without the batch axis.
      observation_dtype: float32, or uint8 for pixels.
      action: which actions there are.
      frame_stack: of how many consecutive observations the last axis consists.
      has_action_mask: whether the last elements of an observation, one per action, tell which
        actions are valid: 1, or else 0.
    """

    observation_shape: tuple[int, ...]
    observation_dtype: "tf.DType"
    action: ActionSpec
    frame_stack: int = 1
    has_action_mask: bool = False

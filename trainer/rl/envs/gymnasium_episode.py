"""One Gymnasium environment, with what repeats its current episode: a seed and the actions."""

import math
import struct
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.errors import UserError
from trainer.rl.envs.gymnasium_registry import GymnasiumEnv
from trainer.rl.envs.gymnasium_spaces import Interface

# Steps; repeating an episode takes as long as its steps took, and its actions lie in memory.
LONGEST_RECORD = 100_000


class Episode(NamedTuple):
    """What repeats an episode of a deterministic environment.

    Attributes:
      key: of the environment in its batch, and of the batch; different for each.
      number: of the episode in its environment, from 0.
      actions: of all steps, as bytes; None after more than `LONGEST_RECORD` steps.
      checksum: CRC-32 of all observations and rewards.
    """

    key: str
    number: int
    actions: bytes | None
    checksum: int


class Step(NamedTuple):
    """One step.

    Attributes:
      observation: as `Interface` encodes it.
      reward: of the step.
      terminated: whether the episode reached a terminal state.
      truncated: whether the episode was cut off.
      life_lost: whether a life was lost, and the episode continues.
      success: 1 or 0 at the end of an episode that tells it, else NaN.
    """

    observation: NDArray[Any]
    reward: float
    terminated: bool
    truncated: bool
    life_lost: bool
    success: float


class RecordedEnvironment:
    """An environment whose state is known by its seed and the actions since its reset."""

    def __init__(self, environment: GymnasiumEnv, interface: Interface, counts_lives: bool = False):
        """Call `start` before `step`; `counts_lives` sets `Step.life_lost`."""
        self._environment = environment
        self._interface = interface
        self._counts_lives = counts_lives
        self._lives = 0
        bytes_per_action = np.empty(interface.action_shape, interface.action_dtype).nbytes
        self._longest = LONGEST_RECORD * bytes_per_action
        self._key = ""
        self._number = 0
        self._actions: bytearray | None = bytearray()
        self._checksum = 0

    def start(self, key: str, number: int = 0) -> NDArray[Any]:
        """Starts the episode of a key and a number; returns its first observation."""
        # Each episode has a seed of its own, so that no random state is carried into it.
        seed = zlib.crc32(f"{key}/{number}".encode()) & 0x7FFFFFFF
        raw_observation, info = self._environment.reset(seed=seed)
        self._lives = self._read_lives(info)
        observation = self._interface.encode_observation(raw_observation)
        self._key = key
        self._number = number
        self._actions = bytearray()
        self._checksum = zlib.crc32(observation.data)
        return observation

    def start_next(self) -> NDArray[Any]:
        """Starts the following episode; returns its first observation."""
        return self.start(self._key, self._number + 1)

    def step(self, action: NDArray[Any]) -> Step:
        """Takes an action of `Interface.action_dtype`."""
        result = self._environment.step(self._interface.decode_action(action))
        raw_observation, reward, terminated, truncated, info = result
        observation = self._interface.encode_observation(raw_observation)
        checksum = zlib.crc32(struct.pack("d", reward), self._checksum)
        self._checksum = zlib.crc32(observation.data, checksum)
        if self._actions is not None:
            self._actions += action.tobytes()
            if len(self._actions) > self._longest:
                self._actions = None
        ended = terminated or truncated
        lives_before, self._lives = self._lives, self._read_lives(info)
        life_lost = self._lives < lives_before and not ended
        success = _read_success(info) if ended else math.nan
        return Step(observation, float(reward), terminated, truncated, life_lost, success)

    def render(self) -> object:
        """What the environment renders: pixels, if it was created for that."""
        return self._environment.render()

    def episode(self) -> Episode:
        """The current episode."""
        actions = None if self._actions is None else bytes(self._actions)
        return Episode(self._key, self._number, actions, self._checksum)

    def repeat(self, episode: Episode) -> bool:
        """Repeats a recorded episode; returns whether observations and rewards were the same."""
        assert episode.actions is not None
        self.start(episode.key, episode.number)
        actions = np.frombuffer(episode.actions, self._interface.action_dtype)
        for action in actions.reshape(-1, *self._interface.action_shape):
            step = self.step(action)
            # The recorded episode has not ended.
            if step.terminated or step.truncated:
                return False
        return self._checksum == episode.checksum

    def _read_lives(self, info: Mapping[str, Any]) -> int:
        if not self._counts_lives:
            return 0
        if "lives" not in info:
            raise UserError(
                "environment.life_loss needs an environment that counts lives in info['lives']; "
                f"set it to False. Received: info with {sorted(info)}"
            )
        return int(info["lives"])


def _read_success(info: Mapping[str, Any]) -> float:
    """Whether an episode succeeded, by either of the names in use; NaN if neither is there."""
    return float(info.get("is_success", info.get("success", math.nan)))

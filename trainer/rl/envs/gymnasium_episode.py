"""One Gymnasium environment, with what repeats its current episode: a seed and the actions."""

import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.rl.envs.gymnasium_registry import GymnasiumEnv

# Steps; repeating an episode takes as long as its steps took, and its actions lie in memory.
LONGEST_RECORD = 100_000


class Interface(NamedTuple):
    """The translation between an agent and a Gymnasium environment.

    Attributes:
      decode_action: from an action of the agent to one of the environment.
      encode_observation: from an observation of the environment to a contiguous array.
      action_dtype: the smallest dtype that holds the agent's actions.
      action_shape: of one of the agent's actions.
    """

    decode_action: Callable[[Any], Any]
    encode_observation: Callable[[Any], NDArray[Any]]
    action_dtype: np.dtype[Any]
    action_shape: tuple[int, ...]


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


class RecordedEnvironment:
    """An environment whose state is known by its seed and the actions since its reset."""

    def __init__(self, environment: GymnasiumEnv, interface: Interface):
        """Call `start` before `step`."""
        self._environment = environment
        self._interface = interface
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
        raw_observation, _ = self._environment.reset(seed=seed)
        observation = self._interface.encode_observation(raw_observation)
        self._key = key
        self._number = number
        self._actions = bytearray()
        self._checksum = zlib.crc32(observation.data)
        return observation

    def start_next(self) -> NDArray[Any]:
        """Starts the following episode; returns its first observation."""
        return self.start(self._key, self._number + 1)

    def step(self, action: NDArray[Any]) -> tuple[NDArray[Any], float, bool, bool]:
        """Takes an action of `Interface.action_dtype`.

        Returns:
          The observation, the reward, and whether the episode was terminated or truncated.
        """
        result = self._environment.step(self._interface.decode_action(action))
        raw_observation, reward, terminated, truncated, _ = result
        observation = self._interface.encode_observation(raw_observation)
        checksum = zlib.crc32(struct.pack("d", reward), self._checksum)
        self._checksum = zlib.crc32(observation.data, checksum)
        if self._actions is not None:
            self._actions += action.tobytes()
            if len(self._actions) > self._longest:
                self._actions = None
        return observation, float(reward), terminated, truncated

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
            _, _, terminated, truncated = self.step(action)
            # The recorded episode has not ended.
            if terminated or truncated:
                return False
        return self._checksum == episode.checksum

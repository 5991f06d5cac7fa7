"""The usual preprocessing of Atari games, for any Gymnasium environment.

Sources: Mnih et al. (2015), Human-level control through deep reinforcement learning; Machado et
al. (2018), Revisiting the Arcade Learning Environment.

Random numbers are a function of the seed of `reset`, so that an episode can be repeated. Those of
Gymnasium's wrappers come from the environment's generator, which an environment may leave unseeded.
"""

from typing import Any

import gymnasium
import numpy as np

from trainer.errors import UserError

_Wrapper = gymnasium.Wrapper[Any, Any, Any, Any]
_Reset = tuple[Any, dict[str, Any]]
_Step = tuple[Any, Any, bool, bool, dict[str, Any]]
# The streams of random numbers, different from the environment's own.
_STICKY, _NOOPS = 1, 2


class StickyActions(_Wrapper):
    """Repeats the last action instead of a new one with some probability (Machado et al.)."""

    def __init__(self, environment: gymnasium.Env[Any, Any], probability: float):
        super().__init__(environment)
        self._probability = probability
        self._random = np.random.default_rng()
        self._last: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> _Reset:
        """The first action of an episode is never replaced."""
        if seed is not None:
            self._random = np.random.default_rng([seed, _STICKY])
        self._last = None
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> _Step:
        """Takes `action`, or the action that was taken last."""
        repeats = self._random.random() < self._probability
        if self._last is None or not repeats:
            self._last = action
        return self.env.step(self._last)


class NoopStarts(_Wrapper):
    """Begins an episode with 1 to `most` steps of the first action, the no-op of Atari games."""

    def __init__(self, environment: gymnasium.Env[Any, Any], most: int):
        """Wraps `environment`.

        Raises:
          UserError: if its actions are not discrete.
        """
        super().__init__(environment)
        space = environment.action_space
        if not isinstance(space, gymnasium.spaces.Discrete):
            raise UserError(
                f"environment.noop_starts needs discrete actions; set it to 0. Received: {space}"
            )
        self._noop = space.start
        self._most = most
        self._random = np.random.default_rng()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> _Reset:
        """An episode that ends in its no-ops begins without them."""
        if seed is not None:
            self._random = np.random.default_rng([seed, _NOOPS])
        first = self.env.reset(seed=seed, options=options)
        for _ in range(self._random.integers(1, self._most, endpoint=True)):
            observation, _, terminated, truncated, info = self.env.step(self._noop)
            if terminated or truncated:
                return self.env.reset(seed=seed, options=options)
            first = observation, info
        return first


class FrameSkip(_Wrapper):
    """Takes each action for several frames and adds up their rewards.

    Pixels are the maximum of the last two frames, in which a sprite of an Atari game may flicker.
    `MaxAndSkipObservation` of Gymnasium returns frames of an earlier step where an episode ends
    before the last two.
    """

    def __init__(self, environment: gymnasium.Env[Any, Any], frames: int):
        super().__init__(environment)
        self._frames = frames
        space = environment.observation_space
        self._is_pixels = isinstance(space, gymnasium.spaces.Box) and space.dtype == np.uint8

    def step(self, action: Any) -> _Step:
        """Steps until the last frame, or the end of the episode."""
        total = 0.0
        observation: Any = None
        previous: Any = None
        for _ in range(self._frames):
            previous = observation
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        if self._is_pixels and previous is not None:
            observation = np.maximum(previous, observation)
        return observation, total, terminated, truncated, info


class MaskInObservation(_Wrapper):
    """Appends `info["action_mask"]` to observations, one element per action: 1 is valid, 0 not."""

    def __init__(self, environment: gymnasium.Env[Any, Any]):
        """Wraps `environment`.

        Raises:
          UserError: if its actions are not discrete, or its observations are no vectors.
        """
        super().__init__(environment)
        actions, space = environment.action_space, environment.observation_space
        if not isinstance(actions, gymnasium.spaces.Discrete):
            raise UserError(
                f"environment.action_mask needs a Discrete action space. Received: {actions}"
            )
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise UserError(
                "environment.action_mask needs a Box observation space of one axis; set "
                f"environment.flatten. Received: {space}"
            )
        self._num_actions = int(actions.n)
        self.observation_space = gymnasium.spaces.Box(
            np.append(space.low.astype(np.float32), np.zeros(self._num_actions, np.float32)),
            np.append(space.high.astype(np.float32), np.ones(self._num_actions, np.float32)),
            dtype=np.float32,
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> _Reset:
        """See the class."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._with_mask(observation, info), info

    def step(self, action: Any) -> _Step:
        """See the class."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._with_mask(observation, info), reward, terminated, truncated, info

    def _with_mask(self, observation: Any, info: dict[str, Any]) -> Any:
        mask = np.asarray(info.get("action_mask", ()), np.float32)
        if mask.shape != (self._num_actions,) or not mask.any():
            raise UserError(
                "info['action_mask'] must have one element per action, of which one at least is "
                f"not 0. Received: {info.get('action_mask')}"
            )
        return np.append(np.asarray(observation, np.float32), mask)

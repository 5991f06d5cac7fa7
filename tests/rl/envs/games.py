# ruff: noqa: ARG002
"""Environments like Atari games: pixels, lives, rewards of any size, success."""

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Lives(gymnasium.Env):
    """Frames show their number and the action; every fifth frame costs one of three lives.

    Pixel 0 is the frame's number in even frames and pixel 1 in odd ones, as flickering sprites.
    """

    observation_space = Box(0, 255, (4, 4, 3), np.uint8)
    action_space = Discrete(4)

    def __init__(self):
        self.actions = []

    def reset(self, *, seed=None, options=None):
        # A generator of its own: the one of gymnasium.Env stays unseeded.
        self.random = np.random.default_rng(seed)
        self.frame = 0
        self.actions = []
        return self.draw(), {"lives": 3}

    def step(self, action):
        self.actions.append(int(action))
        self.frame += 1
        lives = 3 - self.frame // 5
        return self.draw(), float(self.frame), lives == 0, False, {"lives": lives}

    def draw(self):
        pixels = np.zeros((4, 4, 3), np.uint8)
        pixels[0, self.frame % 2] = self.frame
        pixels[1, 0] = self.actions[-1] if self.actions else 0
        pixels[2:] = self.random.integers(0, 100, (2, 4, 3))
        return pixels


class Tells(gymnasium.Env):
    """An episode of one step, which succeeds with action 1."""

    observation_space = Box(-1, 1, (2,), np.float32)
    action_space = Discrete(2)
    key = "is_success"

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.first = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self.first, {}

    def step(self, action):
        return self.first, 0.0, True, False, {self.key: bool(action)}


class TellsOtherwise(Tells):
    key = "success"


class Pays(Tells):
    """The reward is that of the action."""

    def __init__(self, rewards):
        self.rewards = rewards

    def step(self, action):
        return self.first, self.rewards[action], True, False, {}

# ruff: noqa: ARG002
"""Environments as a user would write them, good and bad."""

import ctypes

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

NOT_A_CLASS = 3


class Walk(gymnasium.Env):
    """A random walk from 2 to 0 or 4; actions are called 5 and 6."""

    observation_space = Discrete(5, start=10)
    action_space = Discrete(2, start=5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 2
        self.last = None
        return 10 + self.place, {}

    def step(self, action):
        assert self.action_space.contains(action)
        noise = int(self.np_random.integers(0, 2))
        self.place += 1 if action == 6 and noise else -1
        ended = self.place in (0, 4)
        return 10 + self.place, float(action), ended, False, {}


class Pixels(gymnasium.Env):
    """Random colours, without end."""

    observation_space = Box(0, 255, (6, 5, 3), np.uint8)
    action_space = Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.step(0)[0], {}

    def step(self, action):
        return self.np_random.integers(0, 256, (6, 5, 3), np.uint8), 0.0, False, False, {}


class Vector(gymnasium.Env):
    """Float64 observations; subclasses misbehave at the third step."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(2), {}

    def step(self, action):
        self.steps += 1
        result = np.ones(2), 1.0, False, False, {}
        return self.misbehave(result) if self.steps == 3 else result

    def misbehave(self, result):
        return result


class Raises(Vector):
    def misbehave(self, result):
        raise RuntimeError("out of\ncheese")


class RaisesAtReset(Vector):
    def reset(self, *, seed=None, options=None):
        raise KeyError("nowhere")


class NanObservation(Vector):
    def misbehave(self, result):
        return np.array([0.0, np.nan]), *result[1:]


class InfiniteReward(Vector):
    def misbehave(self, result):
        return result[0], np.inf, *result[2:]


class WrongShape(Vector):
    def misbehave(self, result):
        return np.ones(3), *result[1:]


class OldInterface(Vector):
    def misbehave(self, result):
        return result[:4]


class OutsideItsSpace(Walk):
    def step(self, action):
        return 9, *super().step(action)[1:]


class Unpicklable(Vector):
    def __init__(self):
        self.handle = lambda: None


class Continuous(Vector):
    action_space = Box(-np.arange(1.0, 41.0), np.ones(40), dtype=np.float64)


class Composite(Vector):
    observation_space = Dict({"a": Discrete(2)})


class NeedsArguments(Vector):
    def __init__(self, size):
        self.size = size


class NoSpaces(gymnasium.Env):
    pass


class Pointer(Vector):
    def __init__(self):
        self.handle = ctypes.pointer(ctypes.c_int(1))


class ComesNotBack(Vector):
    def __setstate__(self, state):
        raise RuntimeError("the simulator is gone")

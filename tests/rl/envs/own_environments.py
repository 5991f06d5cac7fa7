# ruff: noqa: ARG001, ARG002
"""Environments as a user would write them, good and bad."""

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Tuple
from gymnasium.utils import EzPickle

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


class ForgetsState(Walk, EzPickle):
    """Like the Box2D and Atari environments: pickling keeps the constructor's arguments only."""

    def __init__(self):
        EzPickle.__init__(self)


class Unseeded(Pixels):
    """Its random numbers do not depend on the seed of its reset."""

    def reset(self, *, seed=None, options=None):
        self.np_random = np.random.default_rng()
        return super().reset()


class UnseededReward(Vector):
    def step(self, action):
        return np.zeros(2), float(np.random.default_rng().random()), False, False, {}


class Learns(Vector):
    """Carries something from one episode into the next."""

    def __init__(self):
        self.episodes = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episodes += 1
        return np.full(2, self.episodes), {}

    def step(self, action):
        return np.full(2, self.episodes), 1.0, False, False, {}


class StopsWorking(Vector):
    works = True

    def step(self, action):
        if not StopsWorking.works:
            raise RuntimeError("the simulator is gone")
        return super().step(action)


class Continuous(Vector):
    action_space = Box(-np.arange(1.0, 41.0), np.ones(40), dtype=np.float64)


class Shifting(Vector):
    """Continuous actions, which it adds up; without end."""

    action_space = Box(-1.0, 1.0, (2, 3), np.float64)

    def reset(self, *, seed=None, options=None):
        gymnasium.Env.reset(self, seed=seed)
        self.place = self.np_random.normal(size=2)
        return self.place, {}

    def step(self, action):
        assert action.shape == (2, 3)
        self.place = self.place + action.sum(axis=-1) + self.np_random.normal(size=2)
        return self.place, 0.0, False, False, {}


class Composite(Vector):
    observation_space = Dict({"a": Discrete(2)})


class NeedsArguments(Vector):
    def __init__(self, size):
        self.size = size


class NoSpaces(gymnasium.Env):
    pass


class Sized(Vector):
    """Its observations are as long as an argument says."""

    def __init__(self, size=2, label="", value=1.0):
        self.observation_space = Box(-np.inf, np.inf, (size,), np.float64)
        self.label = label
        self.value = value

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(self.observation_space.shape), {}

    def step(self, action):
        return np.full(self.observation_space.shape, self.value), 1.0, False, False, {}


class DictAndTuple(gymnasium.Env):
    """The observation counts steps, in a nest."""

    observation_space = Dict({"a": Discrete(3), "b": Tuple([Box(-1, 9, (2, 1), np.float32)])})
    action_space = Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.observation(), {}

    def step(self, action):
        self.steps += 1
        return self.observation(), 0.0, False, False, {}

    def observation(self):
        return {"a": self.steps % 3, "b": (np.full((2, 1), self.steps, np.float32),)}


def doubles(environment):
    space = environment.observation_space
    return gymnasium.wrappers.TransformObservation(environment, lambda x: 2 * x, space)


class AddsOne(gymnasium.ObservationWrapper):
    def observation(self, observation):
        return observation + 1


def returns_nothing(environment):
    return None


def fails(environment):
    raise ValueError("does not\nfit")

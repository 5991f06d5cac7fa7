"""From an `environment` section to a vectorized environment."""

import dataclasses
import functools
from collections.abc import Callable

from trainer.config.rl import Environment as EnvironmentConfig
from trainer.errors import UserError, unknown_name
from trainer.rl.envs.acrobot import Acrobot
from trainer.rl.envs.base import Environment
from trainer.rl.envs.breakout import Breakout
from trainer.rl.envs.cart_pole import CartPole
from trainer.rl.envs.catch import Catch
from trainer.rl.envs.freeway import Freeway
from trainer.rl.envs.mountain_car import MountainCar
from trainer.rl.envs.pendulum import Pendulum
from trainer.rl.envs.tensorflow_vector import TensorFlowVector
from trainer.rl.envs.vector import VectorEnvironment
from trainer.rl.envs.wrappers import ClipRewards, FrameStack, Grayscale, Resize

IN_GRAPH: dict[str, Callable[[], Environment]] = {
    "Acrobot-v1": Acrobot,
    "CartPole-v0": functools.partial(CartPole, time_limit=200),
    "CartPole-v1": functools.partial(CartPole, time_limit=500),
    "Catch-v0": Catch,
    "MinAtar/Breakout-v1": Breakout,
    "MinAtar/Freeway-v1": Freeway,
    "MountainCar-v0": MountainCar,
    "Pendulum-v1": Pendulum,
}

# Fields of the section that an environment in TensorFlow does not have.
_GYMNASIUM_ONLY = (
    "arguments",
    "wrappers",
    "flatten",
    "action_mask",
    "frame_skip",
    "noop_starts",
    "sticky_actions",
    "life_loss",
    "workers",
)


def make_split(config: EnvironmentConfig, split: str) -> VectorEnvironment:
    """The environment in which a split is evaluated.

    Args:
      config: the section.
      split: validation or test.

    Raises:
      UserError: as `make`, or if its spaces are not those of the training environment.
    """
    name = config.test_name if split == "test" else config.validation_name
    environment = make(dataclasses.replace(config, name=name or config.name), learns=False)
    if name and (spec := make(config).spec) != environment.spec:
        raise UserError(
            f"environment.{split}_name {name!r} must have the observations and actions of "
            f"{config.name!r}, {spec}. Received: {environment.spec}"
        )
    return environment


def make(config: EnvironmentConfig, learns: bool = True) -> VectorEnvironment:
    """The environment that `config` names, with its time limit and its wrappers.

    Args:
      config: the section.
      learns: whether an agent learns in it, so that `life_loss` and `clip_rewards` apply.

    Raises:
      UserError: if the name is unknown, the environment cannot be made, or its spaces or a
        wrapper do not fit.
    """
    environment = _make_unwrapped(config, learns)
    if config.grayscale:
        environment = Grayscale(environment)
    if config.resize:
        environment = Resize(environment, *config.resize)
    if config.frame_stack > 1:
        environment = FrameStack(environment, config.frame_stack)
    if learns and config.clip_rewards != "none":
        environment = ClipRewards(environment, config.clip_rewards)
    return environment


def _make_unwrapped(config: EnvironmentConfig, learns: bool) -> VectorEnvironment:
    if config.backend != "gymnasium" and config.name in IN_GRAPH:
        _refuse_gymnasium_only(config)
        return TensorFlowVector(config.name, IN_GRAPH[config.name](), config.time_limit)
    if config.backend == "tensorflow":
        raise unknown_name("environment.name with backend tensorflow", config.name, IN_GRAPH)
    # Importing Gymnasium takes half a second, which environments in TensorFlow do not need.
    from trainer.rl.envs import gymnasium_vector

    also_known = IN_GRAPH if config.backend == "auto" else ()
    return gymnasium_vector.GymnasiumVector(config, learns, also_known)


def _refuse_gymnasium_only(config: EnvironmentConfig) -> None:
    for name in _GYMNASIUM_ONLY:
        if (value := getattr(config, name)) != getattr(EnvironmentConfig, name):
            raise UserError(
                f"environment.{name} is for Gymnasium environments, and {config.name!r} runs in "
                "TensorFlow; set environment.backend=gymnasium or leave it out. "
                f"Received: {value!r}"
            )

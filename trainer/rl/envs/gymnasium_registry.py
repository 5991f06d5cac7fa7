"""From a name to a Gymnasium environment: a registered id, or a user's own `module:Class`."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import gymnasium

from trainer.config import user_code
from trainer.errors import UserError, unknown_name

GymnasiumEnv = gymnasium.Env[Any, Any]
Create = Callable[[], GymnasiumEnv]


def find(name: str, time_limit: int, also_known: Iterable[str] = ()) -> Create:
    """A function that creates one environment of this name.

    Args:
      name: a registered id, `module:Class`, or `module:id` where importing the module
        registers the id.
      time_limit: steps after which an episode is truncated; 0: the environment's own.
      also_known: further names to list in the error for an unknown one.

    Raises:
      UserError: if there is no such environment.
    """
    module_name, _, attribute = name.rpartition(":")
    if module_name:
        module = user_code.import_module(module_name, "environment.name")
        if hasattr(module, attribute):
            return _of_class(getattr(module, attribute), name, time_limit)
    if attribute in gymnasium.registry:
        return _of_id(attribute, name, time_limit)
    if module_name:
        classes = [key for key, value in vars(module).items() if _is_environment(value)]
        raise unknown_name(f"environment in module {module_name!r}", attribute, classes)
    raise unknown_name("environment.name", name, {*also_known, *gymnasium.registry})


def one_line(value: object) -> str:
    """A value as text without line breaks."""
    return " ".join(str(value).split())


def _is_environment(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, gymnasium.Env)


def _of_class(environment_class: type, name: str, time_limit: int) -> Create:
    if not _is_environment(environment_class):
        raise UserError(
            f"environment.name must name a subclass of gymnasium.Env. Received: {name!r}"
        )

    def create() -> GymnasiumEnv:
        environment = environment_class()
        if time_limit:
            return gymnasium.wrappers.TimeLimit(environment, time_limit)
        return environment

    return _checked(create, name)


def _of_id(identity: str, name: str, time_limit: int) -> Create:
    def create() -> GymnasiumEnv:
        # Gymnasium's checks are made elsewhere, and an outdated version was asked for by name.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return gymnasium.make(
                identity, max_episode_steps=time_limit or None, disable_env_checker=True
            )

    return _checked(create, name)


def _checked(create: Create, name: str) -> Create:
    def checked() -> GymnasiumEnv:
        try:
            return create()
        # A missing dependency or a constructor with arguments may raise anything.
        except Exception as error:
            raise UserError(
                f"environment {name!r} cannot be created: {user_code.describe(error)}"
            ) from error

    return checked

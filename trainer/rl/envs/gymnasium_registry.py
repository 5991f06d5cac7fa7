"""From a name to a Gymnasium environment: a registered id, or a user's own `module:Class`."""

import functools
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gymnasium

from trainer.config import user_code
from trainer.config.keyword_arguments import parse_keyword_arguments
from trainer.config.rl import Environment as EnvironmentConfig
from trainer.errors import UserError, unknown_name
from trainer.rl.envs import gymnasium_wrappers

GymnasiumEnv = gymnasium.Env[Any, Any]
Create = Callable[[], GymnasiumEnv]


def find(config: EnvironmentConfig, also_known: Iterable[str] = ()) -> Create:
    """A function that creates one environment, with its wrappers.

    Args:
      config: the section. Its name is a registered id, `module:Class`, or `module:id` where
        importing the module registers the id.
      also_known: further names to list in the error for an unknown one.

    Raises:
      UserError: if there is no such environment, or no such wrapper.
    """
    create = _find_unwrapped(config, also_known)
    wrappers = [
        (target, user_code.load(target, "environment.wrappers")) for target in config.wrappers
    ]

    def create_wrapped() -> GymnasiumEnv:
        environment = _preprocessed(create(), config)
        for target, wrapper in wrappers:
            environment = _wrapped(environment, wrapper, target)
        if config.flatten:
            environment = _wrapped(
                environment, gymnasium.wrappers.FlattenObservation, "environment.flatten"
            )
        if config.time_limit:
            # Outermost, so that it counts the agent's steps, whatever a wrapper does.
            environment = gymnasium.wrappers.TimeLimit(environment, config.time_limit)
        if config.action_mask:
            environment = gymnasium_wrappers.MaskInObservation(environment)
        return environment

    return create_wrapped


def create_each(create: Create) -> Iterator[GymnasiumEnv]:
    """New environments without end."""
    while True:
        yield create()


def one_line(value: object) -> str:
    """A value as text without line breaks."""
    return " ".join(str(value).split())


def _find_unwrapped(config: EnvironmentConfig, also_known: Iterable[str]) -> Create:
    name = config.name
    arguments = parse_keyword_arguments(config.arguments, "environment.arguments")
    module_name, _, attribute = name.rpartition(":")
    if module_name:
        module = user_code.import_module(module_name, "environment.name")
        if hasattr(module, attribute):
            environment_class = getattr(module, attribute)
            if not _is_environment(environment_class):
                raise UserError(
                    f"environment.name must name a subclass of gymnasium.Env. Received: {name!r}"
                )
            return _checked(functools.partial(environment_class, **arguments), config)
    if attribute.startswith("ALE/"):
        _register_atari(name)
    if attribute in gymnasium.registry:
        if config.time_limit:
            # Gymnasium's number for no limit of its own.
            arguments["max_episode_steps"] = -1
        # Gymnasium's checks are made elsewhere.
        make = functools.partial(gymnasium.make, attribute, disable_env_checker=True, **arguments)
        return _checked(make, config)
    if module_name:
        classes = [key for key, value in vars(module).items() if _is_environment(value)]
        raise unknown_name(f"environment in module {module_name!r}", attribute, classes)
    raise unknown_name("environment.name", name, {*also_known, *gymnasium.registry})


def _register_atari(name: str) -> None:
    try:
        import ale_py
    except ImportError as error:
        raise UserError(
            f"environment {name!r} needs ale-py; install it with `pip install ale-py`"
        ) from error
    gymnasium.register_envs(ale_py)
    # It prints a banner for each environment.
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


def _preprocessed(environment: GymnasiumEnv, config: EnvironmentConfig) -> GymnasiumEnv:
    spec = getattr(environment, "spec", None)
    own = spec.kwargs if spec else {}
    for field, argument, off in (
        ("frame_skip", "frameskip", 1),
        ("sticky_actions", "repeat_action_probability", 0.0),
    ):
        if getattr(config, field) > off and own.get(argument, off) != off:
            raise UserError(
                f"environment.{field} and {argument} of {config.name!r} do the same; add "
                f"{argument}={off} to environment.arguments. Received: {argument}={own[argument]}"
            )
    if config.sticky_actions:
        environment = gymnasium_wrappers.StickyActions(environment, config.sticky_actions)
    if config.noop_starts:
        environment = gymnasium_wrappers.NoopStarts(environment, config.noop_starts)
    if config.frame_skip > 1:
        environment = gymnasium_wrappers.FrameSkip(environment, config.frame_skip)
    return environment


def _is_environment(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, gymnasium.Env)


def _checked(create: Create, config: EnvironmentConfig) -> Create:
    def checked() -> GymnasiumEnv:
        try:
            # An outdated version of an environment was asked for by name.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return create()
        # A missing dependency or a constructor with arguments may raise anything.
        except Exception as error:
            given = f"; environment.arguments={config.arguments}" if config.arguments else ""
            raise UserError(
                f"environment {config.name!r} cannot be created: {user_code.describe(error)}{given}"
            ) from error

    return checked


def _wrapped(environment: GymnasiumEnv, wrapper: Any, target: str) -> GymnasiumEnv:
    try:
        wrapped = wrapper(environment)
    # A user's wrapper may raise anything.
    except Exception as error:
        raise UserError(
            f"wrapper {target!r} cannot be applied: {user_code.describe(error)}"
        ) from error
    if not isinstance(wrapped, gymnasium.Env):
        raise UserError(
            f"wrapper {target!r} must return a gymnasium.Env. Received: {one_line(wrapped)}"
        )
    return wrapped

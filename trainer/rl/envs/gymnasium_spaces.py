"""The translation between an agent and the spaces of a Gymnasium environment."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from trainer.errors import UserError
from trainer.rl.envs.gymnasium_registry import GymnasiumEnv, one_line
from trainer.rl.specs import ActionSpec, Box, Discrete


class Interface(NamedTuple):
    """The translation between an agent and a Gymnasium environment.

    Attributes:
      action: which actions the agent has.
      decode_action: from an action of the agent to one of the environment.
      action_dtype: the smallest dtype that holds the agent's actions.
      action_shape: of one of the agent's actions.
      encode_observation: from an observation of the environment to a contiguous array.
      observation_dtype: of this array, float32 or uint8.
      observation_shape: of this array.
    """

    action: ActionSpec
    decode_action: Callable[[Any], Any]
    action_dtype: np.dtype[Any]
    action_shape: tuple[int, ...]
    encode_observation: Callable[[Any], NDArray[Any]]
    observation_dtype: np.dtype[Any]
    observation_shape: tuple[int, ...]


def interface(name: str, environment: GymnasiumEnv) -> Interface:
    """The interface of an environment; `name` is for errors.

    Raises:
      UserError: if its spaces are not supported.
    """
    decode, action = _action_decoding(name, getattr(environment, "action_space", None))
    observation_space = getattr(environment, "observation_space", None)
    encode, shape, dtype = _encoding(name, observation_space)
    return Interface(action, decode, *_stored_action(action), encode, np.dtype(dtype), shape)


def _count_and_first(space: Any) -> tuple[int, int]:
    return int(space.n), int(space.start)


def _action_decoding(name: str, space: Any) -> tuple[Callable[[Any], Any], ActionSpec]:
    """A function from an agent's actions to the environment's, and the spec of the actions."""
    if isinstance(space, gymnasium.spaces.Discrete):
        count, first = _count_and_first(space)
        # Gymnasium's Discrete spaces hold int64.
        return lambda action: np.int64(action) + first, Discrete(count)
    if isinstance(space, gymnasium.spaces.Box):
        shape, dtype = space.shape, space.dtype
        low, high = (tuple(map(float, bound.ravel())) for bound in (space.low, space.high))
        return lambda action: np.asarray(action, dtype).reshape(shape), Box(low, high)
    raise UserError(
        f"the action space of {name!r} must be Discrete or Box. Received: {one_line(space)}"
    )


def _stored_action(action_spec: ActionSpec) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The dtype and shape in which an agent's action is recorded."""
    if isinstance(action_spec, Discrete):
        return np.min_scalar_type(action_spec.n - 1), ()
    return np.dtype(np.float32), (len(action_spec.low),)


def _encoding(name: str, space: Any) -> tuple[Callable[[Any], NDArray[Any]], tuple[int, ...], type]:
    """A function from observations to arrays, and the shape and dtype of the arrays."""
    if isinstance(space, gymnasium.spaces.Discrete):
        count, first = _count_and_first(space)
        rows = np.eye(count, dtype=np.float32)

        def one_hot(observation: Any) -> NDArray[Any]:
            if not space.contains(observation):
                raise UserError(
                    f"environment {name!r} must return an observation in its {space}. "
                    f"Received: {one_line(observation)}"
                )
            return rows[int(observation) - first]

        return one_hot, (count,), np.float32

    if isinstance(space, gymnasium.spaces.Box) and space.shape:
        shape = space.shape
        dtype = np.uint8 if space.dtype == np.uint8 else np.float32

        def array(observation: Any) -> NDArray[Any]:
            value = np.ascontiguousarray(observation, dtype)
            if value.shape != shape:
                raise UserError(
                    f"environment {name!r} must return observations of shape {shape}, as its "
                    f"observation space declares. Received: shape {value.shape}"
                )
            return value

        return array, shape, dtype

    raise UserError(
        f"the observation space of {name!r} must be Discrete, or a Box with at least one axis; "
        f"set environment.flatten=true for a Dict or a Tuple. Received: {one_line(space)}"
    )

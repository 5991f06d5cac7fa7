"""A list of Gymnasium environments, stepped one after another, without TensorFlow."""

import contextlib
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.config import user_code
from trainer.errors import UserError
from trainer.rl.envs.gymnasium_episode import LONGEST_RECORD, Episode, RecordedEnvironment
from trainer.rl.envs.gymnasium_registry import GymnasiumEnv
from trainer.rl.envs.gymnasium_spaces import Interface

_CACHE_LINE = 64


class StepArrays(NamedTuple):
    """The memory in which a batch of B environments takes its actions and leaves its steps.

    Attributes:
      action: `[B, ...]`, of `Interface.action_dtype`.
      next_observation: `[B, ...]`, see `StepOutput`.
      reset_observation: `[B, ...]`, see `StepOutput`.
      reward: `[B]` float32.
      terminated: `[B]` bool; also true where a life was lost and lives are counted.
      truncated: `[B]` bool.
      success: `[B]` float32: 1 or 0 at the end of an episode that tells it, else NaN.
    """

    action: NDArray[Any]
    next_observation: NDArray[Any]
    reset_observation: NDArray[Any]
    reward: NDArray[Any]
    terminated: NDArray[Any]
    truncated: NDArray[Any]
    success: NDArray[Any]

    def rows(self, rows: slice) -> "StepArrays":
        """Views of some of the environments."""
        return StepArrays(*(array[rows] for array in self))


def memory_size(interface: Interface, size: int) -> int:
    """Bytes of the `StepArrays` of `size` environments."""
    return sum(_aligned_bytes(*each) for each in _layout(interface, size))


def arrays_in(memory: Any, interface: Interface, size: int) -> StepArrays:
    """The arrays of `size` environments in a writable buffer of `memory_size` bytes."""
    arrays, offset = [], 0
    for shape, dtype in _layout(interface, size):
        arrays.append(np.ndarray(shape, dtype, memory, offset))
        offset += _aligned_bytes(shape, dtype)
    return StepArrays(*arrays)


def _layout(interface: Interface, size: int) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
    """The shape and dtype of each field of `StepArrays`."""
    action = (size, *interface.action_shape), interface.action_dtype
    observation = (size, *interface.observation_shape), interface.observation_dtype
    number, flag = ((size,), np.dtype(np.float32)), ((size,), np.dtype(np.bool_))
    return [action, observation, observation, number, flag, flag, number]


def _aligned_bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """The bytes of an array, rounded up to whole cache lines."""
    return -(-math.prod(shape) * dtype.itemsize // _CACHE_LINE) * _CACHE_LINE


class EnvironmentBatch:
    """Environments of one kind, which restart on their own."""

    def __init__(
        self,
        name: str,
        environments: Iterable[GymnasiumEnv],
        interface: Interface,
        arrays: StepArrays,
        counts_lives: bool,
    ):
        """Takes one environment for each row of `arrays`.

        Raises:
          UserError: if one cannot be created.
        """
        self._name = name
        self._interface = interface
        self._arrays = arrays
        self._environments = [
            RecordedEnvironment(environment, interface, counts_lives)
            for environment in itertools.islice(environments, len(arrays.reward))
        ]

    def reset(self, key: str, first: int) -> None:
        """Starts an episode in each; leaves `reset_observation`.

        Args:
          key: of the whole batch, of which this may be a part.
          first: number of the first of these environments in the whole batch.
        """
        with self._failures("reset"):
            for index, environment in enumerate(self._environments):
                observation = environment.start(f"{key}/{first + index}")
                self._arrays.reset_observation[index] = observation
            self._check_finite(self._arrays.reset_observation, "observation")

    def step(self) -> None:
        """Takes a step of each, with the actions that lie in the arrays."""
        arrays = self._arrays
        # An environment may keep an action; the array is overwritten.
        actions = arrays.action.copy()
        with self._failures("step"):
            for index, environment in enumerate(self._environments):
                step = environment.step(actions[index])
                arrays.next_observation[index] = step.observation
                arrays.reward[index] = step.reward
                arrays.terminated[index] = step.terminated or step.life_lost
                arrays.truncated[index] = step.truncated
                arrays.success[index] = step.success
                ended = step.terminated or step.truncated
                arrays.reset_observation[index] = (
                    environment.start_next() if ended else step.observation
                )
            self._check_finite(arrays.next_observation, "observation")
            self._check_finite(arrays.reset_observation, "observation")
            self._check_finite(arrays.reward, "reward")

    def render(self) -> NDArray[np.uint8]:
        """A picture of each, `[B, H, W, 3]`.

        Raises:
          UserError: if there is none.
        """
        with self._failures("render"):
            return np.stack([self._picture(environment) for environment in self._environments])

    def episodes(self) -> list[Episode]:
        """The current episode of each."""
        return [environment.episode() for environment in self._environments]

    def repeat(self, episodes: Sequence[Episode]) -> str:
        """Repeats an episode in each; returns why this failed, or an empty text."""
        for environment, episode in zip(self._environments, episodes, strict=True):
            if episode.actions is None:
                return f"an episode of {self._name!r} has more than {LONGEST_RECORD:,} steps"
            try:
                is_same = environment.repeat(episode)
            # An environment may raise anything.
            except Exception as error:
                return f"environment {self._name!r} failed with {user_code.describe(error)}"
            if not is_same:
                return f"environment {self._name!r} is not deterministic"
        return ""

    def _picture(self, environment: RecordedEnvironment) -> NDArray[np.uint8]:
        picture = environment.render()
        if isinstance(picture, np.ndarray):
            found = f"{picture.dtype} of shape {picture.shape}"
            has_pixels = picture.ndim == 3 and picture.shape[2] == 3 and picture.size > 0
            if picture.dtype == np.uint8 and has_pixels:
                return picture
        else:
            found = type(picture).__name__
        raise UserError(
            f"render() of environment {self._name!r} must return uint8 pixels of shape (H, W, 3) "
            f"with render_mode='rgb_array'. Received: {found}"
        )

    def _check_finite(self, values: NDArray[Any], what: str) -> None:
        finite = np.isfinite(values)
        if not finite.all():
            raise UserError(
                f"environment {self._name!r} must return a finite {what}. "
                f"Received: {values[~finite][0]}"
            )

    @contextlib.contextmanager
    def _failures(self, method: str) -> Iterator[None]:
        """Raises what an environment raises as an error of the user."""
        try:
            yield
        except UserError:
            raise
        # An environment may raise anything.
        except Exception as error:
            raise UserError(
                f"environment {self._name!r} failed in {method}() with {user_code.describe(error)}"
            ) from error

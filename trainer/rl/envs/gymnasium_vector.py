"""Vectorized Gymnasium environments, stepped by one call outside the graph."""

import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config import user_code
from trainer.errors import UserError
from trainer.rl.envs.gymnasium_episode import (
    LONGEST_RECORD,
    Episode,
    Interface,
    RecordedEnvironment,
)
from trainer.rl.envs.gymnasium_registry import Create, one_line
from trainer.rl.envs.vector import EpisodeCarry, StepOutput, VectorEnvironment
from trainer.rl.specs import ActionSpec, Box, Discrete, EnvironmentSpec


class GymnasiumVector(VectorEnvironment):
    """Steps a list of environments one after another.

    It returns the last observation of an episode without a search in infos. Each episode is
    reset with a seed that is a function of the seed of `initial`, the number of the environment
    and the number of the episode, so `step` ignores its seed. A checkpoint holds these numbers and
    the actions since the reset, which repeat the episodes. This object holds the environments:
    each batch (of a replica, of an evaluation) needs its own.
    """

    in_graph = False

    def __init__(self, name: str, create: Create):
        """Creates one environment to read its spaces.

        Raises:
          UserError: if it cannot be created, or its spaces are not supported.
        """
        self.name = name
        self._create = create
        self._failure: UserError | None = None
        environment = create()
        action_space = getattr(environment, "action_space", None)
        decode_action, action_spec = _action_decoding(name, action_space)
        observation_space = getattr(environment, "observation_space", None)
        encode, shape, self._dtype = _encoding(name, observation_space)
        self.spec = EnvironmentSpec(shape, tf.as_dtype(self._dtype), action_spec)
        self._interface = Interface(decode_action, encode, *_stored_action(action_spec))
        self._environments = [RecordedEnvironment(environment, self._interface)]

    def initial(self, seed: tf.Tensor, batch_size: int) -> EpisodeCarry:
        """See the base class; the first call creates `batch_size` environments."""
        observation = tf.numpy_function(
            lambda seed: self._reset(seed, batch_size), [seed], self.spec.observation_dtype
        )
        observation.set_shape([batch_size, *self.spec.observation_shape])
        return EpisodeCarry(
            state=observation,
            elapsed=tf.zeros([batch_size], tf.int32),
            episode_return=tf.zeros([batch_size]),
        )

    def observe(self, carry: EpisodeCarry) -> tf.Tensor:
        """See the base class."""
        return carry.state

    def step(
        self, carry: EpisodeCarry, action: tf.Tensor, seed: tf.Tensor
    ) -> tuple[EpisodeCarry, StepOutput]:
        """See the base class."""
        del seed
        observations = self.spec.observation_dtype
        next_observation, reward, terminated, truncated, reset_observation = tf.numpy_function(
            self._step, [action], [observations, tf.float32, tf.bool, tf.bool, observations]
        )
        next_observation.set_shape(carry.state.shape)
        reset_observation.set_shape(carry.state.shape)
        for value in (reward, terminated, truncated):
            value.set_shape(carry.elapsed.shape)
        elapsed = carry.elapsed + 1
        episode_return = carry.episode_return + reward
        ended = terminated | truncated
        next_carry = EpisodeCarry(
            state=reset_observation,
            elapsed=tf.where(ended, 0, elapsed),
            episode_return=tf.where(ended, 0.0, episode_return),
        )
        return next_carry, StepOutput(
            next_observation=next_observation,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            reset_observation=reset_observation,
            episode_return=episode_return,
            episode_length=elapsed,
        )

    def render(self, carry: EpisodeCarry) -> NDArray[np.uint8]:
        """See the base class."""
        del carry
        raise UserError(
            "only environments written in TensorFlow can be rendered; "
            f"{self.name!r} is a Gymnasium environment"
        )

    def failure(self) -> UserError | None:
        """See the base class."""
        return self._failure

    def state_bytes(self) -> bytes:
        """The seeds and the actions of all current episodes, as JSON."""
        episodes = [environment.episode()._asdict() for environment in self._environments]
        for episode in episodes:
            if episode["actions"] is not None:
                episode["actions"] = base64.b64encode(episode["actions"]).decode()
        return json.dumps(episodes).encode()

    def restore_bytes(self, state: bytes) -> str:
        """See the base class; repeats the episodes, which takes as long as their steps took."""
        episodes = json.loads(state)
        for environment, fields in zip(self._environments, episodes, strict=True):
            if fields["actions"] is None:
                return f"an episode of {self.name!r} has more than {LONGEST_RECORD:,} steps"
            episode = Episode(**{**fields, "actions": base64.b64decode(fields["actions"])})
            try:
                is_same = environment.repeat(episode)
            # An environment may raise anything.
            except Exception as error:
                return f"environment {self.name!r} failed with {user_code.describe(error)}"
            if not is_same:
                return f"environment {self.name!r} is not deterministic"
        return ""

    def _reset(self, seed: NDArray[Any], batch_size: int) -> NDArray[Any]:
        with self._recorded("reset"):
            del self._environments[batch_size:]
            while len(self._environments) < batch_size:
                self._environments.append(RecordedEnvironment(self._create(), self._interface))
            observations = self._empty(batch_size)
            batch = "/".join(map(str, seed))
            for index, environment in enumerate(self._environments):
                observations[index] = environment.start(f"{batch}/{index}")
            self._check_finite(observations, "observation")
            return observations

    def _step(self, action: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        batch_size = len(action)
        next_observation = self._empty(batch_size)
        reward = np.empty([batch_size], np.float32)
        terminated = np.empty([batch_size], bool)
        truncated = np.empty([batch_size], bool)
        first_observations = {}
        stored_action = action.astype(self._interface.action_dtype)
        with self._recorded("step"):
            for index, environment in enumerate(self._environments):
                next_observation[index], reward[index], terminated[index], truncated[index] = (
                    environment.step(stored_action[index])
                )
                if terminated[index] or truncated[index]:
                    first_observations[index] = environment.start_next()
            reset_observation = next_observation.copy()
            for index, observation in first_observations.items():
                reset_observation[index] = observation
            self._check_finite(next_observation, "observation")
            self._check_finite(reset_observation, "observation")
            self._check_finite(reward, "reward")
        return next_observation, reward, terminated, truncated, reset_observation

    def _empty(self, batch_size: int) -> NDArray[Any]:
        return np.empty([batch_size, *self.spec.observation_shape], self._dtype)

    def _check_finite(self, values: NDArray[Any], what: str) -> None:
        finite = np.isfinite(values)
        if not finite.all():
            raise UserError(
                f"environment {self.name!r} must return a finite {what}. "
                f"Received: {values[~finite][0]}"
            )

    @contextlib.contextmanager
    def _recorded(self, method: str) -> Iterator[None]:
        """Records an error, of which TensorFlow passes on only the text with a traceback."""
        try:
            yield
        except UserError as error:
            self._failure = error
            raise
        # An environment may raise anything.
        except Exception as error:
            self._failure = UserError(
                f"environment {self.name!r} failed in {method}() with {user_code.describe(error)}"
            )
            raise self._failure from error


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

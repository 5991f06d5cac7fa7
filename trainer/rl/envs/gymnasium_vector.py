"""Vectorized Gymnasium environments, stepped by one call outside the graph."""

import contextlib
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config import user_code
from trainer.errors import UserError
from trainer.rl.envs.gymnasium_registry import Create, one_line
from trainer.rl.envs.vector import EpisodeCarry, StepOutput, VectorEnvironment
from trainer.rl.specs import ActionSpec, Box, Discrete, EnvironmentSpec


class GymnasiumVector(VectorEnvironment):
    """Steps a list of environments one after another.

    It is as fast as Gymnasium's `SyncVectorEnv`, and returns the last observation of an episode
    without a search in infos. A new episode continues the random numbers of its environment, as
    Gymnasium intends, so `step` ignores its seed. This object holds the environments: each batch
    (of a replica, of an evaluation) needs its own.
    """

    in_graph = False

    def __init__(self, name: str, create: Create):
        """Creates one environment to read its spaces.

        Raises:
          UserError: if it cannot be created, or its spaces are not supported.
        """
        self.name = name
        self._create = create
        self._environments = [create()]
        self._failure: UserError | None = None
        action_space = getattr(self._environments[0], "action_space", None)
        self._decode_action, action_spec = _action_decoding(name, action_space)
        observation_space = getattr(self._environments[0], "observation_space", None)
        self._encode, shape, self._dtype = _encoding(name, observation_space)
        self.spec = EnvironmentSpec(shape, tf.as_dtype(self._dtype), action_spec)

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
        """The environments with their random state; empty if they cannot be pickled."""
        try:
            return pickle.dumps(self._environments)
        # Pickling a user's class may raise anything.
        except Exception:
            return b""

    def restore_bytes(self, state: bytes) -> bool:
        """See the base class."""
        if not state:
            return False
        try:
            self._environments = pickle.loads(state)
        # Unpickling may fail as well; the caller then starts new episodes.
        except Exception:
            return False
        return True

    def _reset(self, seed: NDArray[Any], batch_size: int) -> NDArray[Any]:
        with self._recorded("reset"):
            del self._environments[batch_size:]
            while len(self._environments) < batch_size:
                self._environments.append(self._create())
            observations = self._empty(batch_size)
            entropy = seed.astype(np.int64).view(np.uint64).tolist()
            seeds = np.random.SeedSequence(entropy).generate_state(batch_size)
            for index, environment in enumerate(self._environments):
                observation, _ = environment.reset(seed=int(seeds[index]))
                observations[index] = self._encode(observation)
            self._check_finite(observations, "observation")
            return observations

    def _step(self, action: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        batch_size = len(action)
        next_observation = self._empty(batch_size)
        reward = np.empty([batch_size], np.float32)
        terminated = np.empty([batch_size], bool)
        truncated = np.empty([batch_size], bool)
        first_observations = {}
        with self._recorded("step"):
            for index, environment in enumerate(self._environments):
                observation, reward[index], terminated[index], truncated[index], _ = (
                    environment.step(self._decode_action(action[index]))
                )
                next_observation[index] = self._encode(observation)
                if terminated[index] or truncated[index]:
                    observation, _ = environment.reset()
                    first_observations[index] = self._encode(observation)
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

        def array(observation: Any) -> NDArray[Any]:
            value = np.asarray(observation)
            if value.shape != shape:
                raise UserError(
                    f"environment {name!r} must return observations of shape {shape}, as its "
                    f"observation space declares. Received: shape {value.shape}"
                )
            return value

        return array, shape, np.uint8 if space.dtype == np.uint8 else np.float32

    raise UserError(
        f"the observation space of {name!r} must be Discrete, or a Box with at least one axis; "
        f"flatten it with a Gymnasium wrapper. Received: {one_line(space)}"
    )

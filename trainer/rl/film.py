"""A film of an agent: the pictures of a greedy episode."""

import dataclasses
import os
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.rl import Environment as EnvironmentConfig
from trainer.errors import UserError
from trainer.rl import seeds
from trainer.rl.envs import registry
from trainer.rl.envs.vector import VectorEnvironment, failures_as_user_errors
from trainer.rl.loading import Trained

# Pixels. Narrower pictures are enlarged.
_MIN_WIDTH = 480
# 30 seconds of film.
_MAX_FRAMES = 1000
# Steps, as in evaluation.
_LONGEST_EPISODE = 30_000
_RENDER_MODE = "render_mode=rgb_array"

Pixels = NDArray[np.uint8]


class Frames(Sequence[Pixels]):
    """Pictures of one size, `[H, W, 3]` each, compressed: 1000 would take up to a gigabyte."""

    def __init__(self, pictures: Iterable[Pixels] = ()):
        self._shape: tuple[int, ...] = ()
        self._compressed: list[bytes] = []
        for picture in pictures:
            self.append(picture)

    def append(self, picture: Pixels) -> None:
        """Adds a picture.

        Raises:
          UserError: if it has another size than the first.
        """
        self._shape = self._shape or picture.shape
        if picture.shape != self._shape:
            raise UserError(
                "all pictures of an episode must have one size. Received: "
                f"{self._shape[1]} x {self._shape[0]}, then {picture.shape[1]} x {picture.shape[0]}"
            )
        self._compressed.append(zlib.compress(picture.tobytes(), level=1))

    def drop_every_second(self) -> None:
        """Keeps the first picture, the third and so on."""
        del self._compressed[1::2]

    def __len__(self) -> int:
        return len(self._compressed)

    def __getitem__(self, index: Any) -> Any:
        """The picture at an index, or the list of those of a slice."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        pixels = np.frombuffer(zlib.decompress(self._compressed[index]), np.uint8)
        return pixels.reshape(self._shape)


class Film(NamedTuple):
    """One greedy episode.

    Attributes:
      frames: of states that the agent acted in, `[H, W, 3]` uint8 each, W at least 480; at most
        1000.
      episode_return: undiscounted.
      steps: length of the episode.
      speed: steps per frame; above 1 for a long episode.
      has_ended: whether the episode ended; else it was cut after so many steps.
    """

    frames: Sequence[Pixels]
    episode_return: float
    steps: int = 0
    speed: int = 1
    has_ended: bool = True

    def describe(self) -> str:
        """Return and length, and whether the film shows all of it."""
        text = f"return {self.episode_return:g}, {self.steps:,} steps"
        if self.speed > 1:
            text += f", shown {self.speed} times as fast"
        return text if self.has_ended else f"{text}, cut"


def play(trained: Trained) -> Film:
    """Plays and renders a greedy episode in the environment of the final evaluation.

    Raises:
      UserError: if the environment cannot be rendered, or fails.
    """
    experiment, agent = trained.experiment, trained.agent
    environment = _drawn(experiment.environment, experiment.evaluate.split)
    stream = seeds.stream(experiment.seed, "film")
    longest = max(_LONGEST_EPISODE, experiment.environment.time_limit)

    @tf.function
    def step(carry, policy_carry, seed):  # type: ignore[no-untyped-def]  # nests of tensors
        observation = environment.observe(carry)
        action, policy_carry, _ = agent.act(observation, policy_carry, seed, explore=False)
        return *environment.step(carry, action, seed), policy_carry

    frames, speed, steps, has_ended = Frames(), 1, 0, False
    with failures_as_user_errors(environment):
        carry = environment.initial(seeds.at(stream, 0), 1)
        policy_carry = agent.initial_carry(1)
        while not has_ended and steps < longest:
            if steps % speed == 0:
                if len(frames) == _MAX_FRAMES:
                    frames.drop_every_second()
                    speed *= 2
                frames.append(_enlarged(environment.render(carry)[0]))
            steps += 1
            # After the last step the carry already is that of the next episode.
            carry, output, policy_carry = step(carry, policy_carry, seeds.at(stream, steps))
            has_ended = bool(output.terminated[0] or output.truncated[0])
    return Film(frames, float(output.episode_return[0]), steps, speed, has_ended)


def _drawn(config: EnvironmentConfig, split: str) -> VectorEnvironment:
    """The environment of a split, which Gymnasium is asked to render."""
    environment = registry.make_split(config, split)
    if environment.in_graph:
        return environment
    others = (text for text in config.arguments if text.partition("=")[0].strip() != "render_mode")
    # Environments that use SDL, such as the classic ones, look for a display otherwise.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    # Worker processes do not render.
    drawn = dataclasses.replace(config, arguments=(*others, _RENDER_MODE), workers=0)
    try:
        return registry.make_split(drawn, split)
    except UserError as error:
        raise UserError(
            "a film needs an environment that can be created with render_mode='rgb_array'. "
            f"Received: {error}"
        ) from error


def _enlarged(picture: Pixels) -> Pixels:
    """The picture, each pixel repeated until it is wide enough."""
    factor = -(-_MIN_WIDTH // picture.shape[1])
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)

"""What the miniature Atari games have in common (Young and Tian, 2019, arXiv:1903.03176).

The games are written from their published descriptions, not from the authors' program. Where
the descriptions leave a detail open, the docstring of the game says what was chosen, so scores
are not exactly comparable with those of other implementations.
"""

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.rl.envs.base import Environment

SIZE = 10
# Probability that a step repeats the previous action instead of the agent's.
STICKINESS = 0.1
NO_OP = 0.0

_ZOOM = 12


class MinAtarGame(Environment):
    """A game on a grid of 10 by 10 cells.

    The observation is `[B, 10, 10, C]` uint8 with a channel per kind of object: 255 where there
    is one, else 0. Actions are sticky: with probability 0.1 the previous action is repeated.

    Attributes:
      colours: RGB of each channel in pictures; of two objects in a cell, the first is shown.
    """

    observation_dtype = tf.uint8
    colours: tuple[tuple[int, int, int], ...]

    def render(self, state: tf.Tensor) -> NDArray[np.uint8]:
        """The grid on white, enlarged twelve times."""
        objects = np.asarray(self.observe(state))
        picture = np.full((*objects.shape[:3], 3), 255, np.uint8)
        for channel in reversed(range(objects.shape[3])):
            picture[objects[..., channel] > 0] = self.colours[channel]
        return picture.repeat(_ZOOM, axis=1).repeat(_ZOOM, axis=2)


def executed(action: tf.Tensor, previous: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The action that takes place, `[B]` float32.

    Args:
      action: the agent's, `[B]` int32.
      previous: the action that took place before, `[B]` float32.
      seed: `[2]`.
    """
    repeats = tf.random.stateless_uniform([previous.shape[0]], seed) < STICKINESS
    return tf.where(repeats, previous, tf.cast(action, tf.float32))


def cells(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    """The cell of each object, `[..., 10, 10]` bool, from coordinates `[...]` float32."""
    grid = tf.range(SIZE, dtype=tf.float32)
    rows = grid[:, None] == row[..., None, None]
    return rows & (grid[None, :] == column[..., None, None])


def image(channels: list[tf.Tensor]) -> tf.Tensor:
    """An observation `[B, 10, 10, C]` uint8 of C channels `[B, 10, 10]` bool."""
    return tf.cast(tf.stack(channels, axis=-1), tf.uint8) * 255

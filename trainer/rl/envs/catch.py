"""Catch: a pixel game in which a paddle catches falling balls."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.rl.envs.base import Environment
from trainer.rl.specs import Discrete

PIXELS = 24
# Balls and paddle move on a coarser grid: one cell is 2 by 2 pixels.
CELL = 2
CELLS = PIXELS // CELL
BALLS = 5
MAXIMUM_RETURN = float(BALLS)

_PADDLE_ROW = CELLS - 1
_TRAIL, _FULL = 96.0, 255.0
_ZOOM = 6


class CatchState(NamedTuple):
    """Each `[B]` float32, in cells; row 0 is on top.

    Attributes:
      row: of the ball.
      column: of the ball.
      drift: the ball's columns per step: -1, 0 or 1.
      paddle: column of the paddle's center; it covers one more cell on each side.
      balls: remaining, including the falling one.
    """

    row: tf.Tensor
    column: tf.Tensor
    drift: tf.Tensor
    paddle: tf.Tensor
    balls: tf.Tensor


class Catch(Environment):
    """Five balls fall one after another, straight or diagonally, and bounce off the walls.

    Actions: paddle one cell to the left (0), stay (1), to the right (2). A ball caught is
    worth 1, a missed ball -1. Every ball can be reached in time, so the maximum return is 5.
    The observation is `[B, 24, 24, 1]` uint8: the paddle, the ball with a fainter trail
    that shows its direction, and in the bottom row a mark per remaining ball.
    """

    observation_shape = (PIXELS, PIXELS, 1)
    observation_dtype = tf.uint8
    action_spec = Discrete(3)

    def reset(self, seed: tf.Tensor, batch_size: int) -> CatchState:
        """Random columns for the ball and the paddle."""
        ball_seed, paddle_seed = tf.unstack(tf.random.split(seed, 2))
        column, drift = _new_ball(ball_seed, batch_size)
        paddle = 1.0 + _uniform_integer(paddle_seed, batch_size, CELLS - 2)
        return CatchState(
            row=tf.zeros([batch_size]),
            column=column,
            drift=drift,
            paddle=paddle,
            balls=tf.fill([batch_size], float(BALLS)),
        )

    def step(
        self, state: CatchState, action: tf.Tensor, seed: tf.Tensor
    ) -> tuple[CatchState, tf.Tensor, tf.Tensor]:
        """Moves paddle and ball; a ball at the paddle's height is scored and the next one falls."""
        paddle = tf.clip_by_value(
            state.paddle + tf.cast(action, tf.float32) - 1.0, 1.0, CELLS - 2.0
        )
        row = state.row + 1.0
        column = state.column + state.drift
        outside = (column < 0.0) | (column > CELLS - 1.0)
        drift = tf.where(outside, -state.drift, state.drift)
        column = tf.where(outside, state.column + drift, column)

        landed = row >= _PADDLE_ROW
        caught = tf.abs(column - paddle) <= 1.0
        reward = tf.where(landed, tf.where(caught, 1.0, -1.0), 0.0)
        balls = tf.where(landed, state.balls - 1.0, state.balls)
        terminated = balls <= 0.0
        thrown = landed & ~terminated
        new_column, new_drift = _new_ball(seed, row.shape[0])
        next_state = CatchState(
            row=tf.where(thrown, 0.0, row),
            column=tf.where(thrown, new_column, column),
            drift=tf.where(thrown, new_drift, drift),
            paddle=paddle,
            balls=balls,
        )
        return next_state, reward, terminated

    def observe(self, state: CatchState) -> tf.Tensor:
        """Draws by comparing coordinates, without a scatter operation."""
        cell = tf.range(PIXELS, dtype=tf.float32) // CELL
        rows, columns = cell[:, None], cell[None, :]
        row, column, drift, paddle, balls = (
            value[:, None, None] for value in tf.nest.flatten(state)
        )
        ball = (rows == row) & (columns == column)
        trail = (rows == row - 1.0) & (columns == column - drift)
        line = tf.range(PIXELS, dtype=tf.float32)[:, None]
        bar = (line == PIXELS - 2.0) & (tf.abs(columns - paddle) <= 1.0)
        marks = (line == PIXELS - 1.0) & (columns % 2.0 == 0.0) & (columns < 2.0 * balls)
        image = tf.where(ball | bar, _FULL, tf.where(trail | marks, _TRAIL, 0.0))
        return tf.cast(image, tf.uint8)[..., None]

    def render(self, state: CatchState) -> NDArray[np.uint8]:
        """The observation, enlarged six times."""
        image = np.asarray(self.observe(state))
        return image.repeat(_ZOOM, axis=1).repeat(_ZOOM, axis=2).repeat(3, axis=3)


def _new_ball(seed: tf.Tensor, batch_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    column_seed, drift_seed = tf.unstack(tf.random.split(seed, 2))
    column = _uniform_integer(column_seed, batch_size, CELLS)
    return column, _uniform_integer(drift_seed, batch_size, 3) - 1.0


def _uniform_integer(seed: tf.Tensor, batch_size: int, count: int) -> tf.Tensor:
    """Uniform on 0 to count - 1, float32."""
    return tf.floor(tf.random.stateless_uniform([batch_size], seed) * count)

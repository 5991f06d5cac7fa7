"""Miniature Breakout, as `MinAtar/Breakout-v1`: a ball, a paddle and three rows of bricks."""

from typing import NamedTuple

from trainer.compat.keras import tf
from trainer.rl.envs import drawing, minatar
from trainer.rl.envs.minatar import SIZE
from trainer.rl.specs import Discrete

LEFT, RIGHT = 1, 2

# Row 0 is on top.
FIRST_BRICK_ROW, BRICK_ROWS = 1, 3
START_ROW = FIRST_BRICK_ROW + BRICK_ROWS
PADDLE_ROW = SIZE - 1
START_PADDLE = 4


class BreakoutState(NamedTuple):
    """Each `[B]` float32, in cells, except for the bricks.

    Attributes:
      row: of the ball.
      column: of the ball.
      down: the ball's rows per step, 1 or -1.
      right: the ball's columns per step, 1 or -1.
      last_row: of the ball one step before, where its trail is.
      last_column: of the ball one step before.
      paddle: column of the paddle.
      bricks: `[B, 3, 10]`, 1 where there is a brick.
      action: that took place in the last step.
    """

    row: tf.Tensor
    column: tf.Tensor
    down: tf.Tensor
    right: tf.Tensor
    last_row: tf.Tensor
    last_column: tf.Tensor
    paddle: tf.Tensor
    bricks: tf.Tensor
    action: tf.Tensor


class Breakout(minatar.MinAtarGame):
    """A ball breaks bricks; a paddle in the bottom row keeps it in play.

    Actions: no-op (0), paddle one cell to the left (1), to the right (2). Channels: paddle,
    ball, trail of the ball, bricks.

    Rules: the ball moves by one cell diagonally. Walls, ceiling and bricks reflect it. Each brick
    that it hits breaks and is worth 1. The paddle reflects it to the left or to the right,
    depending on the side that is hit. When all bricks are broken, three new rows appear. The
    episode ends when the ball reaches the bottom. The difficulty is constant.

    Chosen here: the paddle moves before the ball and is one cell wide. A reflected ball keeps the
    row, or at a wall the column, in that step; it may pass over another brick. It keeps its
    horizontal direction if the paddle is right below it, and turns back if the paddle is where it
    would go. New bricks appear when the ball hits the paddle. The ball starts below the bricks at
    the left or the right wall.
    """

    observation_shape = (SIZE, SIZE, 4)
    action_spec = Discrete(3)
    colours = (drawing.BLACK, drawing.BLUE, drawing.GREY, drawing.ORANGE)

    def reset(self, seed: tf.Tensor, batch_size: int) -> BreakoutState:
        """A random side for the ball, which moves downwards and away from the wall."""
        from_left = tf.random.stateless_uniform([batch_size], seed) < 0.5
        row = tf.fill([batch_size], float(START_ROW))
        column = tf.where(from_left, 0.0, SIZE - 1.0)
        return BreakoutState(
            row=row,
            column=column,
            down=tf.ones([batch_size]),
            right=tf.where(from_left, 1.0, -1.0),
            last_row=row,
            last_column=column,
            paddle=tf.fill([batch_size], float(START_PADDLE)),
            bricks=tf.ones([batch_size, BRICK_ROWS, SIZE]),
            action=tf.fill([batch_size], minatar.NO_OP),
        )

    def step(
        self, state: BreakoutState, action: tf.Tensor, seed: tf.Tensor
    ) -> tuple[BreakoutState, tf.Tensor, tf.Tensor]:
        """Moves the paddle, then the ball."""
        act = minatar.executed(action, state.action, seed)
        paddle = state.paddle + tf.where(act == RIGHT, 1.0, tf.where(act == LEFT, -1.0, 0.0))
        paddle = tf.clip_by_value(paddle, 0.0, SIZE - 1.0)

        column = tf.clip_by_value(state.column + state.right, 0.0, SIZE - 1.0)
        right = tf.where(column == state.column, -state.right, state.right)
        ahead = state.row + state.down
        hit = state.bricks * _brick_cells(ahead, column)
        reward = tf.reduce_sum(hit, axis=[1, 2])
        at_bottom = ahead == PADDLE_ROW
        by_top = at_bottom & (paddle == state.column)
        by_edge = at_bottom & (paddle == column) & ~by_top
        returned = by_top | by_edge
        reflected = returned | (reward > 0.0) | (ahead < 0.0)

        bricks = state.bricks - hit
        cleared = returned & ~tf.reduce_any(bricks > 0.0, axis=[1, 2])
        next_state = BreakoutState(
            row=tf.where(reflected, state.row, ahead),
            column=column,
            down=tf.where(reflected, -state.down, state.down),
            right=tf.where(by_edge, -right, right),
            last_row=state.row,
            last_column=state.column,
            paddle=paddle,
            bricks=tf.where(cleared[:, None, None], 1.0, bricks),
            action=act,
        )
        return next_state, reward, at_bottom & ~returned

    def observe(self, state: BreakoutState) -> tf.Tensor:
        """See the class for the channels."""
        below = SIZE - FIRST_BRICK_ROW - BRICK_ROWS
        return minatar.image(
            [
                minatar.cells(tf.fill(state.paddle.shape, float(PADDLE_ROW)), state.paddle),
                minatar.cells(state.row, state.column),
                minatar.cells(state.last_row, state.last_column),
                tf.pad(state.bricks, [[0, 0], [FIRST_BRICK_ROW, below], [0, 0]]) > 0.0,
            ]
        )


def _brick_cells(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    """A cell `[B]` among those of the bricks: `[B, 3, 10]` float32, zeros if it is not there."""
    whole = minatar.cells(row, column)
    return tf.cast(whole[:, FIRST_BRICK_ROW:START_ROW], tf.float32)

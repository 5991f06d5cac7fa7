"""Miniature Freeway, as `MinAtar/Freeway-v1`: a chicken crosses eight lanes of cars."""

from typing import NamedTuple

from trainer.compat.keras import tf
from trainer.rl.envs import drawing, minatar
from trainer.rl.envs.minatar import SIZE
from trainer.rl.specs import Discrete

UP, DOWN = 1, 2

# Row 0 is on top; the lane of car i is row i + 1.
START_ROW = SIZE - 1
PLAYER_COLUMN = 4
LANES = 8
SLOWEST = 5
MOVE_EVERY = 3


class FreewayState(NamedTuple):
    """Each `[B]`, or `[B, 8]` with one car per lane; float32.

    Attributes:
      row: of the player.
      wait: steps until the player can move again.
      column: of each car.
      right: direction of each car, 1 or -1.
      period: steps from one move of a car to the next, 1 to 5.
      clock: steps until the car's next move.
      action: that took place in the last step.
    """

    row: tf.Tensor
    wait: tf.Tensor
    column: tf.Tensor
    right: tf.Tensor
    period: tf.Tensor
    clock: tf.Tensor
    action: tf.Tensor


class Freeway(minatar.MinAtarGame):
    """A player crosses eight lanes of cars from the bottom to the top, again and again.

    Actions: no-op (0), up (1), down (2). Channels: player, cars, and five channels of trails, one
    for each speed: channel 1 + p holds the trails of the cars that move every p steps.

    Rules: the player moves at most every third step. Reaching the top is worth 1 and leads back
    to the bottom, and the speeds of all cars are drawn again. A player hit by a car is returned
    to the bottom. A car leaves on one side and enters on the other; its trail is the cell behind
    it. The game lasts 2500 steps. The difficulty is constant.

    Chosen here: the player moves before the cars, and is hit by a car on a cell that it enters as
    well as by a car that moves onto its own. Cars start in random columns, and keep them when
    speeds and directions are drawn again, uniformly. The end after 2500 steps, which an
    observation does not show, is a truncation.
    """

    observation_shape = (SIZE, SIZE, 2 + SLOWEST)
    action_spec = Discrete(3)
    time_limit = 2500
    colours = (drawing.BLUE, drawing.BLACK, *[drawing.GREY] * SLOWEST)

    def reset(self, seed: tf.Tensor, batch_size: int) -> FreewayState:
        """The player at the bottom, the cars at random."""
        column_seed, speed_seed = tf.unstack(tf.random.split(seed, 2))
        uniform = tf.random.stateless_uniform([batch_size, LANES], column_seed)
        right, period = _draw_speeds(speed_seed, batch_size)
        return FreewayState(
            row=tf.fill([batch_size], float(START_ROW)),
            wait=tf.zeros([batch_size]),
            column=tf.floor(uniform * SIZE),
            right=right,
            period=period,
            clock=period,
            action=tf.fill([batch_size], minatar.NO_OP),
        )

    def step(
        self, state: FreewayState, action: tf.Tensor, seed: tf.Tensor
    ) -> tuple[FreewayState, tf.Tensor, tf.Tensor]:
        """Moves the player, then the cars; never ends an episode."""
        sticky_seed, speed_seed = tf.unstack(tf.random.split(seed, 2))
        act = minatar.executed(action, state.action, sticky_seed)
        moves = (state.wait == 0.0) & (act != minatar.NO_OP)
        row = state.row + tf.where(moves, tf.where(act == UP, -1.0, 1.0), 0.0)
        row = tf.minimum(row, START_ROW)
        wait = tf.where(moves, MOVE_EVERY - 1.0, tf.maximum(state.wait - 1.0, 0.0))
        crossed = row == 0.0

        clock = state.clock - 1.0
        drives = clock == 0.0
        column = tf.where(drives, (state.column + state.right) % SIZE, state.column)
        lanes = tf.range(1.0, LANES + 1.0)
        meets = (state.column == PLAYER_COLUMN) | (column == PLAYER_COLUMN)
        hit = tf.reduce_any(meets & (lanes == row[:, None]), axis=1)

        new_right, new_period = _draw_speeds(speed_seed, row.shape[0])
        anew = crossed[:, None]
        period = tf.where(anew, new_period, state.period)
        next_state = FreewayState(
            row=tf.where(crossed | hit, float(START_ROW), row),
            wait=wait,
            column=column,
            right=tf.where(anew, new_right, state.right),
            period=period,
            clock=tf.where(anew | drives, period, clock),
            action=act,
        )
        return next_state, tf.cast(crossed, tf.float32), tf.zeros_like(crossed)

    def observe(self, state: FreewayState) -> tf.Tensor:
        """See the class for the channels."""
        columns = tf.range(SIZE, dtype=tf.float32)
        cars = state.column[..., None] == columns
        trails = ((state.column - state.right) % SIZE)[..., None] == columns
        speeds = [trails & (state.period == period)[..., None] for period in range(1, SLOWEST + 1)]
        player = minatar.cells(state.row, tf.fill(state.row.shape, float(PLAYER_COLUMN)))
        # From lanes to rows: the sidewalks at the top and the bottom have no cars.
        rows = [tf.pad(each, [[0, 0], [1, 1], [0, 0]]) for each in (cars, *speeds)]
        return minatar.image([player, *rows])


def _draw_speeds(seed: tf.Tensor, batch_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Random directions and periods, `[B, 8]` float32."""
    uniform = tf.random.stateless_uniform([2, batch_size, LANES], seed)
    return tf.where(uniform[0] < 0.5, 1.0, -1.0), 1.0 + tf.floor(uniform[1] * SLOWEST)

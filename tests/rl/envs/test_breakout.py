"""Breakout against a plain simulation of one game at a time."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.engine import distribution
from trainer.rl.envs.breakout import Breakout, BreakoutState
from trainer.rl.envs.vector import select

BATCH, STEPS = 64, 400
JIT = [False, True] if distribution.xla_compiles_for_cpus() else [False]


class Game:
    """The rules, with the ball as a point and the bricks as a set of points (x, y)."""

    def __init__(self, from_left):
        self.ball = self.trail = (0 if from_left else 9, 4)
        self.dx, self.dy = (1 if from_left else -1), 1
        self.paddle = 4
        self.bricks = self.wall()

    @staticmethod
    def wall():
        return {(x, y) for x in range(10) for y in (1, 2, 3)}

    def step(self, action):
        """Returns the reward and whether the game is over."""
        self.paddle = min(9, max(0, self.paddle + {0: 0, 1: -1, 2: 1}[action]))
        x, y = self.trail = self.ball
        if x + self.dx in range(10):
            x += self.dx
        else:
            self.dx = -self.dx
        y += self.dy
        broken = (x, y) in self.bricks
        self.bricks.discard((x, y))
        lost = False
        if broken or y < 0 or (y == 9 and self.paddle == self.trail[0]):
            self.bounce(x)
        elif y == 9 and self.paddle == x:
            self.dx = -self.dx
            self.bounce(x)
        else:
            self.ball = (x, y)
            lost = y == 9
        if not self.bricks and y == 9 and not lost:
            self.bricks = self.wall()
        return int(broken), lost

    def bounce(self, x):
        self.dy = -self.dy
        self.ball = (x, self.trail[1])

    def image(self):
        drawn = np.zeros((10, 10, 4), np.uint8)
        for channel, points in enumerate(
            ([(self.paddle, 9)], [self.ball], [self.trail], self.bricks)
        ):
            for x, y in points:
                drawn[y, x, channel] = 255
        return drawn


def landing(game):
    """The column in which the ball reaches the paddle's row, if nothing is in its way."""
    x, dx = game.ball[0], game.dx
    for _ in range(9 - game.ball[1]):
        if x + dx in range(10):
            x += dx
        else:
            dx = -dx
    return x


def choose(index, game, rng):
    """Every fourth player is random; the others catch the ball with either side of the paddle."""
    if index % 4 == 0 or game.dy < 0:
        return rng.integers(0, 3)
    target = landing(game)
    if rng.random() < 0.5:
        target = min(9, max(0, target - game.dx))
    return [0, 2, 1][int(np.sign(target - game.paddle))]


@pytest.mark.parametrize("jit", JIT)
def test_plays_as_a_plain_simulation(jit):
    ours = Breakout()
    step = tf.function(ours.step, jit_compile=jit)
    observe = tf.function(ours.observe, jit_compile=jit)
    state = ours.reset(tf.constant([1, 2]), BATCH)
    games = [Game(right > 0) for right in state.right.numpy()]
    # The first game of every other player has few bricks, so that some break all of them.
    kept = np.zeros((BATCH, 3, 10), np.float32)
    kept[:, 2, 4:6] = kept[::2] = 1
    state = state._replace(bricks=tf.constant(kept))
    for game in games[1::2]:
        game.bricks = {(4, 3), (5, 3)}
    rng = np.random.default_rng(0)
    losses = walls = 0
    for index in range(STEPS):
        shown = observe(state).numpy()
        np.testing.assert_array_equal(shown, np.stack([game.image() for game in games]))
        action = np.array([choose(i, game, rng) for i, game in enumerate(games)], np.int32)
        left = [len(game.bricks) for game in games]
        state, reward, terminated = step(state, tf.constant(action), tf.constant([3, index]))
        # Sticky actions are random: the games take what took place.
        results = [game.step(int(a)) for game, a in zip(games, state.action.numpy(), strict=True)]
        expected, over = map(np.array, zip(*results, strict=True))
        np.testing.assert_array_equal(reward, expected)
        np.testing.assert_array_equal(terminated, over)
        for before, game, points in zip(left, games, expected, strict=True):
            new_wall = before == 0 and len(game.bricks) == 30
            assert new_wall or len(game.bricks) == before - points
            assert points in (0, 1)
            walls += new_wall
        fresh = ours.reset(tf.constant([5, index]), BATCH)
        state = select(terminated, fresh, state)
        for i in np.flatnonzero(over):
            games[i] = Game(fresh.right.numpy()[i] > 0)
        losses += over.sum()
    assert losses > 100
    assert walls > 3


def test_starts_on_both_sides():
    state = Breakout().reset(tf.constant([1, 2]), 1000)
    right = state.right.numpy()
    np.testing.assert_array_equal(state.column, np.where(right > 0, 0, 9))
    # Five standard deviations of a binomial count.
    assert abs((right > 0).sum() - 500) < 5 * np.sqrt(250)


@pytest.mark.parametrize(
    ("paddle", "right", "terminated"),
    [(5, 1, False), (6, -1, False), (4, 1, True), (7, 1, True)],
)
def test_the_side_of_the_paddle_decides_the_direction(paddle, right, terminated):
    state = Breakout().reset(tf.constant([1, 2]), 1)
    changes = {"row": 8, "column": 5, "right": 1, "paddle": paddle}
    state = state._replace(**{name: tf.constant([float(v)]) for name, v in changes.items()})
    after, reward, over = Breakout().step(state, tf.constant([0]), tf.constant([3, 4]))
    assert isinstance(after, BreakoutState)
    assert (after.right.numpy(), over.numpy(), reward.numpy()) == (right, terminated, 0)
    assert after.down.numpy() == (1 if terminated else -1)
    assert after.row.numpy() == (9 if terminated else 8)

"""Freeway against a plain simulation of one game at a time."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.engine import distribution
from trainer.rl.envs.freeway import Freeway

BATCH, STEPS = 48, 500
JIT = [False, True] if distribution.xla_compiles_for_cpus() else [False]


class Car:
    def __init__(self, x, dx, period):
        self.x, self.dx, self.period, self.age = x, dx, period, 0

    def drive(self):
        self.age += 1
        if self.age % self.period == 0:
            self.x = (self.x + self.dx) % 10


class Game:
    """The rules, with the player's row as height above the bottom and the cars as objects."""

    def __init__(self, cars):
        self.height, self.moved_at, self.time, self.cars = 0, -3, 0, cars

    def step(self, action):
        """Returns the reward and whether a car hit the player."""
        if action and self.time - self.moved_at >= 3:
            self.height = max(0, self.height + (1 if action == 1 else -1))
            self.moved_at = self.time
        self.time += 1
        reward = self.height == 9
        lane = None if self.height in (0, 9) else self.cars[8 - self.height]
        hit = lane is not None and lane.x == 4
        for car in self.cars:
            car.drive()
        hit = hit or (lane is not None and lane.x == 4)
        if reward or hit:
            self.height = 0
        return reward, hit

    def image(self):
        drawn = np.zeros((10, 10, 7), np.uint8)
        drawn[9 - self.height, 4, 0] = 255
        for number, car in enumerate(self.cars):
            drawn[number + 1, car.x, 1] = 255
            drawn[number + 1, (car.x - car.dx) % 10, 1 + car.period] = 255
        return drawn


def cars(state, index):
    values = zip(*(each.numpy()[index].astype(int) for each in state[2:5]), strict=True)
    return [Car(*each) for each in values]


@pytest.mark.parametrize("jit", JIT)
def test_plays_as_a_plain_simulation(jit):
    ours = Freeway()
    step = tf.function(ours.step, jit_compile=jit)
    observe = tf.function(ours.observe, jit_compile=jit)
    state = ours.reset(tf.constant([1, 2]), BATCH)
    games = [Game(cars(state, i)) for i in range(BATCH)]
    rng = np.random.default_rng(0)
    # Some players wander, the others mostly walk on.
    up = np.where(np.arange(BATCH) % 4 == 0, 0.4, 0.9)
    crossings = accidents = 0
    for index in range(STEPS):
        shown = observe(state).numpy()
        np.testing.assert_array_equal(shown, np.stack([game.image() for game in games]))
        action = np.where(rng.random(BATCH) < up, 1, rng.integers(0, 3, BATCH)).astype(np.int32)
        state, reward, terminated = step(state, tf.constant(action), tf.constant([3, index]))
        assert not terminated.numpy().any()
        for i, game in enumerate(games):
            expected, hit = game.step(int(state.action.numpy()[i]))
            assert reward.numpy()[i] == expected
            crossings += expected
            accidents += hit
            if expected:
                # Only speeds and directions are new.
                columns = [car.x for car in game.cars]
                game.cars = cars(state, i)
                assert [car.x for car in game.cars] == columns
    assert crossings > 50
    assert accidents > 200


def test_cars_have_every_speed_direction_and_column():
    state = Freeway().reset(tf.constant([1, 2]), 1000)
    for values, outcomes in (
        (state.period, range(1, 6)), (state.right, (-1, 1)), (state.column, range(10))
    ):  # fmt: skip
        found, counts = np.unique(values, return_counts=True)
        np.testing.assert_array_equal(found, list(outcomes))
        # Five standard deviations of a binomial count.
        assert np.abs(counts - 8000 / len(found)).max() < 5 * np.sqrt(8000 / len(found))
    flat = [np.ravel(each) for each in (state.period, state.right, state.column)]
    np.testing.assert_allclose(np.corrcoef(flat), np.eye(3), atol=0.06)


def test_crossing_draws_speeds_again():
    state = Freeway().reset(tf.constant([1, 2]), 500)
    state = state._replace(row=tf.ones([500]))
    after, reward, _ = Freeway().step(state, tf.ones([500], tf.int32), tf.constant([3, 4]))
    crossed = reward.numpy() == 1
    assert crossed.sum() > 400
    changed = (after.period.numpy() != state.period.numpy()).mean(axis=1)
    assert abs(changed[crossed].mean() - 0.8) < 0.05
    assert (changed[~crossed] == 0).all()
    np.testing.assert_array_equal(after.clock.numpy()[crossed], after.period.numpy()[crossed])

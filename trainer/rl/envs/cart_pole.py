"""CartPole (Barto, Sutton and Anderson, 1983), as Gymnasium's `CartPole-v0` and `-v1`."""

import math

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.rl.envs import drawing
from trainer.rl.envs.base import Environment
from trainer.rl.specs import Discrete

_GRAVITY = 9.8  # m/s²
_CART_MASS = 1.0  # kg
_POLE_MASS = 0.1  # kg
_TOTAL_MASS = _CART_MASS + _POLE_MASS
_HALF_POLE = 0.5  # m
_FORCE = 10.0  # N
_TIME_STEP = 0.02  # s
MAX_POSITION = 2.4  # m
MAX_ANGLE = math.radians(12)


class CartPole(Environment):
    """A pole balanced on a cart that is pushed to the left (0) or the right (1).

    State and observation are `[B, 4]` float32: the cart's position (m) and velocity, the
    pole's angle (rad, 0 is upright) and angular velocity. The reward is 1 a step.
    """

    observation_shape = (4,)
    action_spec = Discrete(2)

    def __init__(self, time_limit: int):
        self.time_limit = time_limit

    def reset(self, seed: tf.Tensor, batch_size: int) -> tf.Tensor:
        """Everything uniform in [-0.05, 0.05)."""
        return tf.random.stateless_uniform([batch_size, 4], seed, -0.05, 0.05)

    def step(
        self, state: tf.Tensor, action: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """One Euler step; the episode ends off the track or more than 12° from upright."""
        del seed
        position, velocity, angle, angular_velocity = tf.unstack(state, axis=1)
        force = tf.where(action == 1, _FORCE, -_FORCE)
        cos, sin = tf.cos(angle), tf.sin(angle)
        push = (force + _POLE_MASS * _HALF_POLE * angular_velocity**2 * sin) / _TOTAL_MASS
        angular_acceleration = (_GRAVITY * sin - cos * push) / (
            _HALF_POLE * (4 / 3 - _POLE_MASS * cos**2 / _TOTAL_MASS)
        )
        acceleration = push - _POLE_MASS * _HALF_POLE * angular_acceleration * cos / _TOTAL_MASS
        change = tf.stack([velocity, acceleration, angular_velocity, angular_acceleration], axis=1)
        next_state = state + _TIME_STEP * change
        terminated = (tf.abs(next_state[:, 0]) > MAX_POSITION) | (
            tf.abs(next_state[:, 2]) > MAX_ANGLE
        )
        return next_state, tf.ones_like(position), terminated

    def observe(self, state: tf.Tensor) -> tf.Tensor:
        """The state itself."""
        return state

    def render(self, state: tf.Tensor) -> NDArray[np.uint8]:
        """Draws the cart on its track with the pole."""

        def draw(row: NDArray[np.float64]) -> drawing.Canvas:
            x, angle = row[0], row[2]
            canvas = drawing.Canvas(centre=(0.0, 0.9), width=5.4)
            canvas.line([(-MAX_POSITION, 0.0), (MAX_POSITION, 0.0)], 0.03, drawing.GREY)
            canvas.box((x, 0.0), 0.6, 0.3, drawing.BLACK)
            tip = (x + 2 * math.sin(angle), 2 * math.cos(angle))
            canvas.line([(x, 0.0), tip], 0.12, drawing.ORANGE)
            canvas.disc((x, 0.0), 0.08, drawing.BLUE)
            return canvas

        return drawing.draw_each(state, draw)

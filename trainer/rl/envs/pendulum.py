"""The pendulum swing-up with continuous torque, as Gymnasium's `Pendulum-v1`."""

import math

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.rl.envs import drawing
from trainer.rl.envs.base import Environment
from trainer.rl.specs import Box

# A uniform rod that turns around its end.
_MASS = 1.0  # kg
_LENGTH = 1.0  # m
_GRAVITY = 10.0  # m/s²
_TIME_STEP = 0.05  # s
_MAX_VELOCITY = 8.0  # rad/s
_MAX_TORQUE = 2.0  # N m


class Pendulum(Environment):
    """A torque that is too weak to lift a rod directly swings it up and holds it upright.

    The state is `[B, 2]` float32: the angle θ in [-π, π] (rad, 0 is upright) and the angular
    velocity θ̇ (rad/s). The observation is `[B, 3]`: cos θ, sin θ and θ̇. The action u is the
    torque, `[B, 1]` float32 in N m, clipped to [-2, 2]. The reward is
    -(θ² + 0.1 θ̇² + 0.001 u²) of the state before the step. No state is terminal.
    """

    observation_shape = (3,)
    action_spec = Box((-_MAX_TORQUE,), (_MAX_TORQUE,))
    time_limit = 200

    def reset(self, seed: tf.Tensor, batch_size: int) -> tf.Tensor:
        """The angle uniform in [-π, π), the angular velocity in [-1, 1)."""
        limits = tf.constant([math.pi, 1.0])
        return limits * tf.random.stateless_uniform([batch_size, 2], seed, -1.0, 1.0)

    def step(
        self, state: tf.Tensor, action: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """One semi-implicit Euler step."""
        del seed
        angle, velocity = tf.unstack(state, axis=1)
        torque = tf.clip_by_value(action[:, 0], -_MAX_TORQUE, _MAX_TORQUE)
        reward = -(angle**2 + 0.1 * velocity**2 + 0.001 * torque**2)
        acceleration = (
            3 * _GRAVITY / (2 * _LENGTH) * tf.sin(angle) + 3 / (_MASS * _LENGTH**2) * torque
        )
        velocity = tf.clip_by_value(
            velocity + _TIME_STEP * acceleration, -_MAX_VELOCITY, _MAX_VELOCITY
        )
        # Kept within a turn: float32 rounds larger angles more coarsely.
        turned = tf.math.floormod(angle + _TIME_STEP * velocity + math.pi, 2 * math.pi) - math.pi
        return tf.stack([turned, velocity], axis=1), reward, tf.zeros_like(angle, tf.bool)

    def observe(self, state: tf.Tensor) -> tf.Tensor:
        """The angle as cosine and sine, which a full turn does not change."""
        angle, velocity = tf.unstack(state, axis=1)
        return tf.stack([tf.cos(angle), tf.sin(angle), velocity], axis=1)

    def render(self, state: tf.Tensor) -> NDArray[np.uint8]:
        """Draws the rod."""

        def draw(row: NDArray[np.float64]) -> drawing.Canvas:
            tip = (-math.sin(row[0]), math.cos(row[0]))
            canvas = drawing.Canvas(centre=(0.0, 0.0), width=3.6)
            canvas.line([(0.0, 0.0), tip], 0.16, drawing.ORANGE)
            canvas.disc(tip, 0.08, drawing.ORANGE)
            canvas.disc((0.0, 0.0), 0.06, drawing.BLACK)
            return canvas

        return drawing.draw_each(state, draw)

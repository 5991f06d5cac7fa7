"""Acrobot (Sutton, 1996), as Gymnasium's `Acrobot-v1` with the book's dynamics."""

import math

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.rl.envs import drawing
from trainer.rl.envs.base import Environment
from trainer.rl.specs import Discrete

# Both links: length 1 m, mass 1 kg, center of mass in the middle, moment of inertia 1 kg m².
_LENGTH = 1.0
_MASS = 1.0
_CENTRE = 0.5
_INERTIA = 1.0
_GRAVITY = 9.8  # m/s²
_TIME_STEP = 0.2  # s
MAX_VELOCITY_1 = 4 * math.pi  # rad/s
MAX_VELOCITY_2 = 9 * math.pi


class Acrobot(Environment):
    """Two links hang from a pivot; a torque of -1, 0 or 1 N m at the joint swings them up.

    The state is `[B, 4]` float32: the first link's angle (rad, 0 hangs down), the second's
    relative to the first, and their velocities (rad/s). The observation is `[B, 6]`: cosine
    and sine of each angle, then the velocities. The reward is -1 a step, 0 at the goal.
    """

    observation_shape = (6,)
    action_spec = Discrete(3)
    time_limit = 500

    def reset(self, seed: tf.Tensor, batch_size: int) -> tf.Tensor:
        """Everything uniform in [-0.1, 0.1)."""
        return tf.random.stateless_uniform([batch_size, 4], seed, -0.1, 0.1)

    def step(
        self, state: tf.Tensor, action: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """One Runge-Kutta step; the episode ends with the tip a link above the pivot."""
        del seed
        torque = tf.cast(action, tf.float32) - 1.0
        k1 = _derivative(state, torque)
        k2 = _derivative(state + _TIME_STEP / 2 * k1, torque)
        k3 = _derivative(state + _TIME_STEP / 2 * k2, torque)
        k4 = _derivative(state + _TIME_STEP * k3, torque)
        moved = state + _TIME_STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        angle_1, angle_2, velocity_1, velocity_2 = tf.unstack(moved, axis=1)
        angle_1, angle_2 = _wrap(angle_1), _wrap(angle_2)
        velocity_1 = tf.clip_by_value(velocity_1, -MAX_VELOCITY_1, MAX_VELOCITY_1)
        velocity_2 = tf.clip_by_value(velocity_2, -MAX_VELOCITY_2, MAX_VELOCITY_2)
        terminated = -tf.cos(angle_1) - tf.cos(angle_1 + angle_2) > 1.0
        reward = tf.where(terminated, 0.0, -1.0)
        return tf.stack([angle_1, angle_2, velocity_1, velocity_2], axis=1), reward, terminated

    def observe(self, state: tf.Tensor) -> tf.Tensor:
        """Angles as cosine and sine, which a full turn does not change."""
        angle_1, angle_2, velocity_1, velocity_2 = tf.unstack(state, axis=1)
        return tf.stack(
            [
                tf.cos(angle_1),
                tf.sin(angle_1),
                tf.cos(angle_2),
                tf.sin(angle_2),
                velocity_1,
                velocity_2,
            ],
            axis=1,
        )

    def render(self, state: tf.Tensor) -> NDArray[np.uint8]:
        """Draws the two links and the height that the tip must reach."""

        def draw(row: NDArray[np.float64]) -> drawing.Canvas:
            joint = (math.sin(row[0]), -math.cos(row[0]))
            bend = row[0] + row[1]
            tip = (joint[0] + math.sin(bend), joint[1] - math.cos(bend))
            canvas = drawing.Canvas(centre=(0.0, 0.0), width=6.6)
            canvas.line([(-3.2, 1.0), (3.2, 1.0)], 0.03, drawing.GREEN)
            canvas.line([(0.0, 0.0), joint], 0.18, drawing.BLUE)
            canvas.line([joint, tip], 0.18, drawing.ORANGE)
            canvas.disc((0.0, 0.0), 0.12, drawing.BLACK)
            canvas.disc(joint, 0.12, drawing.BLACK)
            return canvas

        return drawing.draw_each(state, draw)


def _derivative(state: tf.Tensor, torque: tf.Tensor) -> tf.Tensor:
    """Time derivative of the state `[B, 4]` (Sutton and Barto, 1st edition, section 11.3)."""
    angle_1, angle_2, velocity_1, velocity_2 = tf.unstack(state, axis=1)
    coupling = _MASS * _LENGTH * _CENTRE
    cos_2, sin_2 = tf.cos(angle_2), tf.sin(angle_2)
    d1 = _MASS * (_CENTRE**2 + _LENGTH**2 + _CENTRE**2) + 2 * coupling * cos_2 + 2 * _INERTIA
    d2 = _MASS * _CENTRE**2 + coupling * cos_2 + _INERTIA
    # The book writes cos(x - pi/2), which is sin(x) and loses digits in float32.
    phi_2 = _MASS * _CENTRE * _GRAVITY * tf.sin(angle_1 + angle_2)
    phi_1 = (
        -coupling * sin_2 * velocity_2 * (velocity_2 + 2 * velocity_1)
        + (_MASS * _CENTRE + _MASS * _LENGTH) * _GRAVITY * tf.sin(angle_1)
        + phi_2
    )
    acceleration_2 = (torque + d2 / d1 * phi_1 - coupling * velocity_1**2 * sin_2 - phi_2) / (
        _MASS * _CENTRE**2 + _INERTIA - d2**2 / d1
    )
    acceleration_1 = -(d2 * acceleration_2 + phi_1) / d1
    return tf.stack([velocity_1, velocity_2, acceleration_1, acceleration_2], axis=1)


def _wrap(angle: tf.Tensor) -> tf.Tensor:
    """The same direction in [-pi, pi]; an angle already there, both ends included, stays."""
    turns_over = tf.maximum(tf.math.ceil((angle - math.pi) / (2 * math.pi)), 0.0)
    turns_under = tf.maximum(tf.math.ceil((-angle - math.pi) / (2 * math.pi)), 0.0)
    return angle + 2 * math.pi * (turns_under - turns_over)

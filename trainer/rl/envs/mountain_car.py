"""MountainCar (Moore, 1990), as Gymnasium's `MountainCar-v0`."""

import math

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.rl.envs import drawing
from trainer.rl.envs.base import Environment
from trainer.rl.specs import Discrete

MIN_POSITION, MAX_POSITION = -1.2, 0.6
GOAL_POSITION = 0.5
_MAX_SPEED = 0.07
_FORCE = 0.001
_GRAVITY = 0.0025


class MountainCar(Environment):
    """An underpowered car must swing out of a valley: push left (0), no push (1), right (2).

    State and observation are `[B, 2]` float32: position and velocity (per step). The reward
    is -1 per step.
    """

    observation_shape = (2,)
    action_spec = Discrete(3)
    time_limit = 200

    def reset(self, seed: tf.Tensor, batch_size: int) -> tf.Tensor:
        """At rest, with the position uniform in [-0.6, -0.4)."""
        position = tf.random.stateless_uniform([batch_size], seed, -0.6, -0.4)
        return tf.stack([position, tf.zeros_like(position)], axis=1)

    def step(
        self, state: tf.Tensor, action: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """One step; the left wall stops the car, the episode ends on the right hilltop."""
        del seed
        position, velocity = tf.unstack(state, axis=1)
        push = (tf.cast(action, tf.float32) - 1.0) * _FORCE
        velocity += push - _GRAVITY * tf.cos(3.0 * position)
        velocity = tf.clip_by_value(velocity, -_MAX_SPEED, _MAX_SPEED)
        position = tf.clip_by_value(position + velocity, MIN_POSITION, MAX_POSITION)
        velocity = tf.where((position <= MIN_POSITION) & (velocity < 0.0), 0.0, velocity)
        terminated = (position >= GOAL_POSITION) & (velocity >= 0.0)
        return tf.stack([position, velocity], axis=1), -tf.ones_like(position), terminated

    def observe(self, state: tf.Tensor) -> tf.Tensor:
        """The state itself."""
        return state

    def render(self, state: tf.Tensor) -> NDArray[np.uint8]:
        """Draws the valley, the flag at the goal and the car."""

        def height(x: float) -> float:
            return 0.45 * math.sin(3 * x) + 0.55

        def draw(row: NDArray[np.float64]) -> drawing.Canvas:
            canvas = drawing.Canvas(centre=((MIN_POSITION + MAX_POSITION) / 2, 0.62), width=1.9)
            ground = np.linspace(MIN_POSITION, MAX_POSITION, 60)
            canvas.line([(x, height(x)) for x in ground], 0.015, drawing.BLACK)
            goal = height(GOAL_POSITION)
            canvas.line([(GOAL_POSITION, goal), (GOAL_POSITION, goal + 0.18)], 0.015, drawing.GREY)
            canvas.box((GOAL_POSITION + 0.045, goal + 0.15), 0.08, 0.06, drawing.GREEN)
            canvas.disc((row[0], height(row[0]) + 0.05), 0.05, drawing.BLUE)
            return canvas

        return drawing.draw_each(state, draw)

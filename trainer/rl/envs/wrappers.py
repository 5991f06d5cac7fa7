"""Wrappers that change observations: grayscale pixels and frame stacking."""

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.errors import UserError
from trainer.rl.envs.vector import Carry, StepOutput, VectorEnvironment, select

# ITU-R BT.709 luma of red, green and blue.
_LUMA = (0.2126, 0.7152, 0.0722)


class _Wrapper(VectorEnvironment):
    def __init__(self, environment: VectorEnvironment):
        self.name = environment.name
        self.spec = environment.spec
        self.in_graph = environment.in_graph
        self._environment = environment

    def failure(self) -> UserError | None:
        return self._environment.failure()

    def state_bytes(self) -> bytes:
        return self._environment.state_bytes()

    def restore_bytes(self, state: bytes) -> str:
        return self._environment.restore_bytes(state)


class Grayscale(_Wrapper):
    """Converts color pixels `[B, H, W, 3]` to one channel of luminance, both uint8."""

    def __init__(self, environment: VectorEnvironment):
        """Wraps `environment`.

        Raises:
          UserError: if its observations are not color pixels.
        """
        super().__init__(environment)
        shape, dtype = self.spec.observation_shape, self.spec.observation_dtype
        if dtype != tf.uint8 or len(shape) != 3 or shape[2] != 3:
            raise UserError(
                "environment.grayscale needs uint8 pixels of shape (H, W, 3); set it to False "
                f"for {environment.name!r}. Received: {dtype.name} observations of shape {shape}"
            )
        self.spec = dataclasses.replace(self.spec, observation_shape=(*shape[:2], 1))

    def initial(self, seed: tf.Tensor, batch_size: int) -> Carry:
        """See the base class."""
        return self._environment.initial(seed, batch_size)

    def observe(self, carry: Carry) -> tf.Tensor:
        """See the base class."""
        return _gray(self._environment.observe(carry))

    def step(self, carry: Carry, action: tf.Tensor, seed: tf.Tensor) -> tuple[Carry, StepOutput]:
        """See the base class."""
        carry, output = self._environment.step(carry, action, seed)
        return carry, output._replace(
            next_observation=_gray(output.next_observation),
            reset_observation=_gray(output.reset_observation),
        )

    def render(self, carry: Carry) -> NDArray[np.uint8]:
        """See the base class."""
        return self._environment.render(carry)


class FrameStackCarry(NamedTuple):
    """The wrapped environment's carry, and `[B, ..., k * C]`: the last k observations."""

    inner: Carry
    stack: tf.Tensor


class FrameStack(_Wrapper):
    """Stacks the last `size` observations on the last axis, the oldest first.

    An episode begins with its first observation `size` times; the previous episode is not
    visible.
    """

    def __init__(self, environment: VectorEnvironment, size: int):
        super().__init__(environment)
        *rest, last = self.spec.observation_shape
        self.spec = dataclasses.replace(
            self.spec, observation_shape=(*rest, size * last), frame_stack=size
        )
        self._size = size

    def initial(self, seed: tf.Tensor, batch_size: int) -> FrameStackCarry:
        """See the base class."""
        inner = self._environment.initial(seed, batch_size)
        return FrameStackCarry(inner, self._repeated(self._environment.observe(inner)))

    def observe(self, carry: FrameStackCarry) -> tf.Tensor:
        """See the base class."""
        return carry.stack

    def step(
        self, carry: FrameStackCarry, action: tf.Tensor, seed: tf.Tensor
    ) -> tuple[FrameStackCarry, StepOutput]:
        """See the base class."""
        inner, output = self._environment.step(carry.inner, action, seed)
        oldest = output.next_observation.shape[-1]
        continued = tf.concat([carry.stack[..., oldest:], output.next_observation], axis=-1)
        stack = select(
            output.terminated | output.truncated,
            self._repeated(output.reset_observation),
            continued,
        )
        output = output._replace(next_observation=continued, reset_observation=stack)
        return FrameStackCarry(inner, stack), output

    def render(self, carry: FrameStackCarry) -> NDArray[np.uint8]:
        """See the base class."""
        return self._environment.render(carry.inner)

    def _repeated(self, observation: tf.Tensor) -> tf.Tensor:
        return tf.concat([observation] * self._size, axis=-1)


def _gray(pixels: tf.Tensor) -> tf.Tensor:
    luma = tf.reduce_sum(tf.cast(pixels, tf.float32) * _LUMA, axis=-1, keepdims=True)
    return tf.cast(tf.round(luma), tf.uint8)

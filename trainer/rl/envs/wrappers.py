"""Wrappers: grayscale and resized pixels, frame stacking, clipped rewards."""

import abc
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
    """Does as the wrapped environment."""

    def __init__(self, environment: VectorEnvironment):
        self.name = environment.name
        self.spec = environment.spec
        self.in_graph = environment.in_graph
        self._environment = environment

    def initial(self, seed: tf.Tensor, batch_size: int) -> Carry:
        """See the base class."""
        return self._environment.initial(seed, batch_size)

    def observe(self, carry: Carry) -> tf.Tensor:
        """See the base class."""
        return self._environment.observe(carry)

    def step(self, carry: Carry, action: tf.Tensor, seed: tf.Tensor) -> tuple[Carry, StepOutput]:
        """See the base class."""
        return self._environment.step(carry, action, seed)

    def render(self, carry: Carry) -> NDArray[np.uint8]:
        """See the base class."""
        return self._environment.render(carry)

    def failure(self) -> UserError | None:
        return self._environment.failure()

    def state_bytes(self) -> bytes:
        return self._environment.state_bytes()

    def restore_bytes(self, state: bytes) -> str:
        return self._environment.restore_bytes(state)


class _PixelWrapper(_Wrapper):
    """Converts each observation by itself."""

    @abc.abstractmethod
    def _convert(self, pixels: tf.Tensor) -> tf.Tensor:
        """Observations of `spec`, from observations `[B, H, W, C]` of the wrapped environment."""

    def observe(self, carry: Carry) -> tf.Tensor:
        """See the base class."""
        return self._convert(self._environment.observe(carry))

    def step(self, carry: Carry, action: tf.Tensor, seed: tf.Tensor) -> tuple[Carry, StepOutput]:
        """See the base class."""
        carry, output = self._environment.step(carry, action, seed)
        return carry, output._replace(
            next_observation=self._convert(output.next_observation),
            reset_observation=self._convert(output.reset_observation),
        )


class Grayscale(_PixelWrapper):
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

    def _convert(self, pixels: tf.Tensor) -> tf.Tensor:
        luma = tf.reduce_sum(tf.cast(pixels, tf.float32) * _LUMA, axis=-1, keepdims=True)
        return tf.cast(tf.round(luma), tf.uint8)


class Resize(_PixelWrapper):
    """Resizes pixels `[B, H, W, C]` uint8: each pixel is the mean of the area that it covers.

    Two matrix products, because TensorFlow's `ResizeArea` has no kernel for GPUs and none for XLA.
    """

    def __init__(self, environment: VectorEnvironment, height: int, width: int):
        """Wraps `environment`.

        Raises:
          UserError: if its observations are not pixels.
        """
        super().__init__(environment)
        shape, dtype = self.spec.observation_shape, self.spec.observation_dtype
        if dtype != tf.uint8 or len(shape) != 3:
            raise UserError(
                "environment.resize needs uint8 pixels of shape (H, W, C); leave it out "
                f"for {environment.name!r}. Received: {dtype.name} observations of shape {shape}"
            )
        self.spec = dataclasses.replace(self.spec, observation_shape=(height, width, shape[2]))
        self._rows = _area_weights(shape[0], height)
        self._columns = _area_weights(shape[1], width)

    def _convert(self, pixels: tf.Tensor) -> tf.Tensor:
        values = tf.cast(pixels, tf.float32)
        resized = tf.einsum("yh,bhwc,xw->byxc", self._rows, values, self._columns)
        return tf.cast(tf.round(resized), tf.uint8)


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


class ClipRewards(_Wrapper):
    """Bounds the rewards that an agent learns from; `episode_return` remains that of the game.

    Source: Mnih et al. (2015), who clip the rewards of Atari games to [-1, 1].
    """

    def __init__(self, environment: VectorEnvironment, kind: str):
        """Wraps `environment`; `kind` is sign (-1, 0 or 1) or clip (to [-1, 1])."""
        super().__init__(environment)
        self._kind = kind

    def step(self, carry: Carry, action: tf.Tensor, seed: tf.Tensor) -> tuple[Carry, StepOutput]:
        """See the base class."""
        carry, output = self._environment.step(carry, action, seed)
        is_sign = self._kind == "sign"
        reward = tf.sign(output.reward) if is_sign else tf.clip_by_value(output.reward, -1.0, 1.0)
        return carry, output._replace(reward=reward)


def _area_weights(old: int, new: int) -> NDArray[np.float32]:
    """The share of each of `old` pixels in each of `new` on one axis: `[new, old]`."""
    edges = np.arange(new + 1) * old / new
    pixels = np.arange(old)
    first = np.maximum(edges[:-1, None], pixels)
    last = np.minimum(edges[1:, None], pixels + 1)
    return (np.maximum(last - first, 0) * new / old).astype(np.float32)

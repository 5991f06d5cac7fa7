"""Weight decay: which variables have it, and the L2 term of SGD and RMSprop.

Keras implements the decoupled form only (Loshchilov and Hutter, 2019).
"""

from trainer.compat.keras import keras, tf


def has_weight_decay(variable: tf.Variable) -> bool:
    """Whether a variable is a kernel; biases and normalization have one dimension or none."""
    return bool(variable.shape.rank >= 2)


class SGD(keras.optimizers.SGD):
    """Keras' SGD with the L2 term `weight_decay / 2 * ||w||^2` in the loss."""

    def __init__(
        self,
        learning_rate: keras.optimizers.schedules.LearningRateSchedule,
        momentum: float,
        nesterov: bool,
        weight_decay: float,
        decays_biases: bool = False,
        jit_compile: bool = False,
    ):
        super().__init__(learning_rate, momentum, nesterov, jit_compile=jit_compile)
        self._l2 = weight_decay
        self._decays_biases = decays_biases

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Updates one variable; called by Keras."""
        if self._l2 and (self._decays_biases or has_weight_decay(variable)):
            gradient += self._l2 * variable
        super().update_step(gradient, variable)


class RMSprop(keras.optimizers.RMSprop):
    """Keras' RMSprop with the L2 term `weight_decay / 2 * ||w||^2` in the loss."""

    def __init__(
        self,
        learning_rate: keras.optimizers.schedules.LearningRateSchedule,
        rho: float,
        momentum: float,
        epsilon: float,
        weight_decay: float,
        jit_compile: bool = False,
    ):
        super().__init__(learning_rate, rho, momentum, epsilon, jit_compile=jit_compile)
        self._l2 = weight_decay

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Updates one variable; called by Keras."""
        super().update_step(_with_l2(gradient, variable, self._l2), variable)


def _with_l2(gradient: tf.Tensor, variable: tf.Variable, coefficient: float) -> tf.Tensor:
    if not coefficient or not has_weight_decay(variable):
        return gradient
    return gradient + coefficient * variable

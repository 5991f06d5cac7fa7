"""LAMB (You et al., 2020, "Large Batch Optimization for Deep Learning", algorithm 2)."""

from collections.abc import Sequence

from trainer.compat.keras import keras, tf
from trainer.optim.weight_decay import has_weight_decay


class LAMB(keras.optimizers.Optimizer):
    """Adam with a step proportional to the norm of each kernel.

    Biases and normalization have neither weight decay nor this factor, as in the authors' code;
    their update is Adam's.
    """

    def __init__(
        self,
        learning_rate: keras.optimizers.schedules.LearningRateSchedule,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        weight_decay: float,
        jit_compile: bool = False,
    ):
        # The decay is a part of the step whose norm is taken, so Keras must not apply it.
        super().__init__(name="LAMB", weight_decay=None, jit_compile=jit_compile)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self._beta_1 = beta_1
        self._beta_2 = beta_2
        self._epsilon = epsilon
        self._decay = weight_decay

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Creates the moments; called by Keras."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._m = [self.add_variable_from_reference(each, "m") for each in var_list]
        self._v = [self.add_variable_from_reference(each, "v") for each in var_list]
        self._built = True

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Updates one variable; called by Keras."""
        index = self._index_dict[self._var_key(variable)]
        m, v, x, g = self._m[index], self._v[index], variable, gradient
        beta_1, beta_2 = (tf.constant(each, x.dtype) for each in (self._beta_1, self._beta_2))
        t = tf.cast(self.iterations + 1, x.dtype)
        m.assign(beta_1 * m + (1 - beta_1) * g)
        v.assign(beta_2 * v + (1 - beta_2) * tf.square(g))
        m_hat = m / (1 - tf.pow(beta_1, t))
        v_hat = v / (1 - tf.pow(beta_2, t))
        r = m_hat / (tf.sqrt(v_hat) + self._epsilon)
        if has_weight_decay(variable):
            step = r + self._decay * x
            step *= _trust_ratio(tf.norm(x), tf.norm(step))
        else:
            step = r
        x.assign_sub(tf.cast(self.learning_rate, x.dtype) * step)


def _trust_ratio(weight_norm: tf.Tensor, step_norm: tf.Tensor) -> tf.Tensor:
    """The ratio of both norms; 1 where one of them is 0, as for a kernel of zeros."""
    is_defined = (weight_norm > 0) & (step_norm > 0)
    return tf.where(is_defined, tf.math.divide_no_nan(weight_norm, step_norm), 1.0)

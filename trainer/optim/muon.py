"""Muon (Jordan et al., 2024, "Muon: An optimizer for hidden layers in neural networks")."""

from collections.abc import Sequence

from trainer.compat.keras import keras, tf

# Coefficients a, b, c of the quintic polynomial.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(keras.optimizers.Optimizer):
    """Momentum, replaced approximately by the nearest matrix with orthonormal rows or columns.

    A kernel `[..., inputs, outputs]` is a matrix with one row per output.
    """

    def __init__(
        self,
        learning_rate: keras.optimizers.schedules.LearningRateSchedule,
        momentum: float,
        nesterov: bool,
        normalize_weights: bool,
        scale_by_shape: bool,
        newton_schulz_steps: int,
        weight_decay: float,
        jit_compile: bool = False,
    ):
        super().__init__(name="Muon", weight_decay=weight_decay or None, jit_compile=jit_compile)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self._momentum = momentum
        self._nesterov = nesterov
        self._normalize_weights = normalize_weights
        self._scale_by_shape = scale_by_shape
        self._steps = newton_schulz_steps

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Creates the momentum; called by Keras."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._buffers = [self.add_variable_from_reference(each, "momentum") for each in var_list]
        self._dtype = _matrix_dtype(var_list[0])
        self._built = True

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Updates one kernel; called by Keras, after the weight decay."""
        buffer = self._buffers[self._index_dict[self._var_key(variable)]]
        buffer.assign(self._momentum * buffer + gradient)
        g = gradient + self._momentum * buffer if self._nesterov else buffer.read_value()
        rows = variable.shape[-1]
        columns = variable.shape.num_elements() // rows
        # Both the iteration and the norm are the same for the transpose, so the outputs stay last.
        matrix = tf.reshape(g, [columns, rows])
        update = tf.cast(orthogonalized(matrix, self._dtype, self._steps), variable.dtype)
        if self._scale_by_shape:
            update *= max(1.0, rows / columns) ** 0.5
        weight = variable.read_value()
        if self._normalize_weights:
            weight *= tf.math.divide_no_nan(rows**0.5, tf.norm(weight))
        step = tf.cast(self.learning_rate, variable.dtype) * update
        variable.assign(weight - tf.reshape(step, variable.shape))


def orthogonalized(matrix: tf.Tensor, dtype: tf.DType, steps: int = 5) -> tf.Tensor:
    """`U V^T` of the singular value decomposition `U S V^T`, up to factors of 0.7 to 1.2.

    A Newton-Schulz iteration X <- a X + (b A + c A^2) X with A = X X^T, started from the matrix
    divided by its Frobenius norm. A matrix of zeros remains zero.

    Args:
      matrix: float `[m, n]`.
      dtype: of the matrix products.
      steps: of the iteration; with fewer than 5, small singular values remain smaller.

    Returns:
      `[m, n]` of `dtype`.
    """
    a, b, c = _COEFFICIENTS
    x = tf.cast(matrix / (tf.norm(matrix) + 1e-7), dtype)
    # A is the smaller of the two products.
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = tf.transpose(x) if is_tall else x
    for _ in range(steps):
        gram = tf.matmul(x, x, transpose_b=True)
        x = a * x + tf.matmul(b * gram + c * tf.matmul(gram, gram), x)
    return tf.transpose(x) if is_tall else x


def _matrix_dtype(variable: tf.Variable) -> tf.DType:
    """bfloat16 where it is faster; the iteration needs no more precision."""
    is_on_cpu = "CPU" in variable.device.upper()
    is_mixed = keras.mixed_precision.global_policy().compute_dtype == "bfloat16"
    return tf.bfloat16 if is_mixed or not is_on_cpu else tf.float32

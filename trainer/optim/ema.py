"""The exponential moving average of a network's variables."""

import contextlib
from collections.abc import Iterator, Sequence

from trainer.compat.keras import tf


class ExponentialMovingAverage(tf.Module):
    """Averages of weights and statistics (Polyak and Juditsky, 1992), for evaluation.

    Create it in a strategy's scope. Variables that are not floating-point are copied.
    """

    def __init__(self, variables: Sequence[tf.Variable], decay: float):
        """Begins with the variables' values.

        Args:
          variables: all variables of a network, equal on all replicas after each update.
          decay: of the average per update, in [0, 1).
        """
        super().__init__()
        self._variables = list(variables)
        self._decay = decay
        self._averages = [_copy(variable) for variable in variables]

    def update(self, step: tf.Tensor) -> None:
        """Moves the averages towards the variables; call it in a replica context.

        The decay is min(decay, (1 + step) / (10 + step)), as in TensorFlow's
        `tf.train.ExponentialMovingAverage` with `num_updates`: early averages follow faster.

        Args:
          step: number of updates so far, scalar integer.
        """
        t = tf.cast(step, tf.float32)
        decay = tf.minimum(self._decay, (1 + t) / (10 + t))
        for average, variable in zip(self._averages, self._variables, strict=True):
            value = variable.read_value()
            if value.dtype.is_floating:
                average.assign_sub(tf.cast(1 - decay, value.dtype) * (average - value))
            else:
                average.assign(value)

    @contextlib.contextmanager
    def swapped(self) -> Iterator[None]:
        """Exchanges averages and variables within the context; call it on the host."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def restart(self) -> None:
        """Sets the averages to the variables; call it on the host."""
        for average, variable in zip(self._averages, self._variables, strict=True):
            average.assign(variable.read_value())

    def assign(self) -> None:
        """Sets the variables to the averages; call it on the host."""
        for average, variable in zip(self._averages, self._variables, strict=True):
            variable.assign(average.read_value())

    def _swap(self) -> None:
        for average, variable in zip(self._averages, self._variables, strict=True):
            value = variable.read_value()
            variable.assign(average.read_value())
            average.assign(value)


def _copy(variable: tf.Variable) -> tf.Variable:
    """A variable that each replica updates for itself, all of them equally."""
    return tf.Variable(
        variable.read_value(),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )

"""Running mean and variance, which normalize observations and rewards."""

from trainer.compat.keras import tf


class RunningMoments(tf.Module):
    """Mean and variance over all values and replicas (Chan et al., 1983).

    Create it in the strategy scope.
    """

    def __init__(self, shape: tuple[int, ...]):
        """Starts with mean 0, variance 1 and no values; `shape` is that of one value."""
        super().__init__()

        def variable(value: tf.Tensor) -> tf.Variable:
            return tf.Variable(
                value, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA
            )

        self.mean = variable(tf.zeros(shape))
        self.variance = variable(tf.ones(shape))
        self.count = variable(tf.constant(0.0))

    def update(self, values: tf.Tensor) -> None:
        """Adds this replica's values `[N, *shape]`; call it in a replica context."""
        number = tf.cast(tf.shape(values)[0], tf.float32)
        sums = [number, tf.reduce_sum(values, axis=0)]
        number, total = _sum_over_replicas(sums)
        mean = total / number
        (squares,) = _sum_over_replicas([tf.reduce_sum(tf.square(values - mean), axis=0)])
        count = self.count + number
        difference = mean - self.mean
        between = tf.square(difference) * self.count * number / count
        variance = (self.variance * self.count + squares + between) / count
        self.mean.assign(self.mean + difference * number / count)
        self.variance.assign(variance)
        self.count.assign(count)

    def standard_deviation(self) -> tf.Tensor:
        """Of shape `shape`, never 0."""
        return tf.sqrt(self.variance + 1e-8)


def _sum_over_replicas(values: list[tf.Tensor]) -> list[tf.Tensor]:
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync == 1:
        return values
    return list(replica.all_reduce(tf.distribute.ReduceOp.SUM, values))


def standardize(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Values with mean 0 and variance 1 over all replicas; weights of 0 leave values out.

    Args:
      values: float32, any shape.
      weights: of the same shape, 0 or 1.
    """
    count, total = _sum_over_replicas([tf.reduce_sum(weights), tf.reduce_sum(weights * values)])
    count = tf.maximum(count, 1.0)
    centered = values - total / count
    (squares,) = _sum_over_replicas([tf.reduce_sum(weights * tf.square(centered))])
    return centered / (tf.sqrt(squares / count) + 1e-8)

"""Moving statistics, such as batch normalization's, that are equal on all replicas.

Keras keeps one copy per replica, updates each from its replica's batch, and averages the copies
when they are read or saved. A resumed run would then continue with other statistics than an
undisturbed run. Here the copies are averaged after each update instead.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from trainer.compat.keras import tf


def equal_on_all_replicas() -> contextlib.AbstractContextManager[None]:
    """A scope in which to build a network whose moving statistics `synchronize` keeps equal.

    Reading or saving one of them takes the first replica's copy. The mean of equal copies would
    not do: with three replicas or more it can differ from them in the last bit.
    """

    def create(make: Callable[..., tf.Variable], **arguments: Any) -> tf.Variable:
        if (
            arguments.get("synchronization") == tf.VariableSynchronization.ON_READ
            and arguments.get("aggregation") == tf.VariableAggregation.MEAN
        ):
            arguments["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
        return make(**arguments)

    return tf.variable_creator_scope(create)


def synchronize(variables: Sequence[tf.Variable]) -> None:
    """Replaces each replica's moving statistics by their mean over all replicas.

    Call it in a replica context and outside of XLA, after each update. The statistics are linear
    in those of the batch, so the mean of the averages is the average of the means.

    Args:
      variables: a network's variables; others than floating-point statistics are left alone.
    """
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync == 1:
        return
    statistics = [
        variable
        for variable in variables
        if variable.synchronization == tf.VariableSynchronization.ON_READ
        and variable.aggregation == tf.VariableAggregation.ONLY_FIRST_REPLICA
        and variable.dtype.is_floating
    ]
    if not statistics:
        return
    means = replica.all_reduce(
        tf.distribute.ReduceOp.MEAN, [variable.read_value() for variable in statistics]
    )
    for variable, mean in zip(statistics, means, strict=True):
        variable.assign(mean)

"""Running moments and standardization, on one and on two replicas."""

import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.rl.agents.running_moments import RunningMoments, standardize

VALUES = np.random.default_rng(0).normal(3.0, 5.0, size=(3, 8, 2)).astype(np.float32)


def mirrored(replicas):
    return tf.distribute.MirroredStrategy(
        [f"/cpu:{k}" for k in range(replicas)], tf.distribute.ReductionToOneDevice()
    )


def run(strategy, function, rows):
    """Calls a function with each replica's half of the rows; returns the results in order."""
    count = strategy.num_replicas_in_sync
    parts = strategy.experimental_distribute_values_from_function(
        lambda context: np.split(rows, count)[context.replica_id_in_sync_group]
    )
    results = tf.function(lambda: strategy.run(function, args=(parts,)))()
    return strategy.experimental_local_results(results)


@pytest.mark.parametrize("replicas", [1, 2])
def test_moments_are_those_of_all_values(replicas):
    strategy = mirrored(replicas)
    with strategy.scope():
        moments = RunningMoments((2,))
    for batch in VALUES:
        run(strategy, moments.update, batch)
    flat = VALUES.reshape(-1, 2)
    np.testing.assert_allclose(moments.mean, flat.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(moments.variance, flat.var(axis=0), rtol=1e-5)
    np.testing.assert_allclose(moments.standard_deviation(), flat.std(axis=0), rtol=1e-5)


@pytest.mark.parametrize("replicas", [1, 2])
def test_standardized_values_leave_out_those_without_weight(replicas):
    strategy = mirrored(replicas)
    rows = VALUES[0, :, :1].repeat(2, axis=1)
    rows[:, 1] = [1, 1, 0, 1, 0, 1, 1, 1]
    found = np.concatenate(run(strategy, lambda rows: standardize(rows[:, 0], rows[:, 1]), rows))
    values, kept = rows[:, 0], rows[:, 1] > 0
    expected = (values - values[kept].mean()) / values[kept].std()
    np.testing.assert_allclose(found, expected, rtol=1e-4)

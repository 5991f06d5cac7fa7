"""Confidence intervals of metrics, by resampling the examples."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.signature import Signature
from trainer.io.records import Value
from trainer.metrics.metric import Metric
from trainer.supervised.targets import metric_sums, sum_shapes

RESAMPLES = 1000
# Groups of examples. The standard deviation of a bootstrap of G groups has an error of about
# 1 / sqrt(2 G).
_GROUPS = 1000
# Fewer where the sums of so many groups would take too much memory.
_FEWEST_GROUPS = 100
_MOST_SUMS = 2**26
# Sums of resamples that are in memory at once.
_MOST_RESAMPLED = 2**23


def bootstrap(
    metrics: Sequence[Metric],
    signature: Signature,
    outputs: NDArray[np.float32],
    targets: NDArray[np.generic],
    seed: int = 0,
) -> Mapping[str, tuple[float, float]]:
    """The 95 % percentile bootstrap interval of each metric that is a number.

    A resample draws N of the N examples with replacement, and a metric is computed from its sums
    over them. The network is not computed again. More than 1000 examples are divided at random into
    1000 groups that are drawn as a whole: sums of groups vary as those of single examples do.
    Source: Efron (1979); Efron and Tibshirani (1993), section 13.3, for the percentiles.

    Args:
      metrics: of the target.
      signature: of the run.
      outputs: of the network, float32 `[N, C]`.
      targets: as stored, `[N, ...]`.
      seed: of the groups and resamples.

    Returns:
      Low and high by the name of the metric.
    """
    numbers = [metric for metric in metrics if metric.more_is_better is not None]
    # Several metrics are computed from the same sums.
    different = {(metric.update, metric.of): metric for metric in reversed(numbers)}
    sums = dict(
        zip(
            different,
            _sums_of_groups(list(different.values()), signature, outputs, targets, seed),
            strict=True,
        )
    )
    groups = len(next(iter(sums.values())))
    draws = np.random.default_rng(seed).integers(0, groups, (RESAMPLES, groups))
    # How often each resample has each group.
    counts = np.stack([np.bincount(each, minlength=groups) for each in draws]).astype(np.float32)
    values: dict[str, list[Value]] = {metric.name: [] for metric in numbers}
    part = max(1, _MOST_RESAMPLED // max(each[0].size for each in sums.values()))
    for first in range(0, RESAMPLES, part):
        rows = counts[first : first + part]
        resampled = {key: np.tensordot(rows, each, axes=1) for key, each in sums.items()}
        for metric in numbers:
            values[metric.name] += map(metric.finish, resampled[metric.update, metric.of])
    return {
        name: (float(low), float(high))
        for name, each in values.items()
        for low, high in [np.percentile(np.array(each, np.float64), [2.5, 97.5])]
    }


def _sums_of_groups(
    metrics: Sequence[Metric],
    signature: Signature,
    outputs: NDArray[np.float32],
    targets: NDArray[np.generic],
    seed: int,
) -> list[NDArray[np.float32]]:
    """What each metric adds up over each group of examples, `[groups, ...]`."""
    count = len(outputs)
    largest = max(shape.num_elements() for shape in sum_shapes(metrics, signature))
    groups = min(count, _GROUPS, max(_FEWEST_GROUPS, _MOST_SUMS // largest))
    positions = np.arange(count)
    if groups < count:
        positions = np.random.default_rng(seed).permutation(count)
    size = -(-count // groups)
    members = np.resize(positions, (size, groups)).T
    # Groups that are smaller by one are filled up with an example of weight 0.
    weights = (np.arange(size * groups) < count).reshape(size, groups).T
    spec = tuple(tf.TensorSpec(shape, tf.float32) for shape in sum_shapes(metrics, signature))

    # All arrays are arguments, since constants of a graph have a limit of 2 GB.
    @tf.function(autograph=False)
    def of_groups(
        outputs: tf.Tensor, targets: tf.Tensor, members: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        def of_group(group: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
            place, weight = group
            of_examples = tf.gather(outputs, place), tf.gather(targets, place)
            return metric_sums(metrics, signature, *of_examples, weight)

        sums: tuple[tf.Tensor, ...] = tf.map_fn(
            of_group, (members, weights), fn_output_signature=spec
        )
        return sums

    arrays = (outputs, targets, members, weights.astype(np.float32))
    return [each.numpy() for each in of_groups(*map(tf.constant, arrays))]

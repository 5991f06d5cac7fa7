"""Confidence intervals of metrics, by resampling the examples."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.signature import Signature
from trainer.metrics.metric import Metric
from trainer.supervised.targets import metric_sums, sum_shapes

RESAMPLES = 1000
# Groups of examples. The standard deviation of a bootstrap of G groups has an error of about
# 1 / sqrt(2 G).
_GROUPS = 1000
# Fewer where the sums of so many groups would take too much memory.
_FEWEST_GROUPS = 100
_MOST_SUMS = 2**26


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
    resampled = {key: np.tensordot(counts, each, axes=1) for key, each in sums.items()}
    intervals = {}
    for metric in numbers:
        values = [metric.finish(each) for each in resampled[metric.update, metric.of]]
        low, high = np.percentile(np.array(values, np.float64), [2.5, 97.5])
        intervals[metric.name] = float(low), float(high)
    return intervals


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
    sums = tf.function(
        lambda group: metric_sums(
            metrics, signature, tf.gather(outputs, group[0]), tf.gather(targets, group[0]), group[1]
        ),
        autograph=False,
    )
    spec = tuple(tf.TensorSpec(shape, tf.float32) for shape in sum_shapes(metrics, signature))
    of_groups = tf.function(
        lambda: tf.map_fn(
            sums,
            (tf.constant(members), tf.constant(weights, tf.float32)),
            fn_output_signature=spec,
        ),
        autograph=False,
    )
    return [each.numpy() for each in of_groups()]

"""Confidence intervals of metrics, by resampling the examples."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.signature import Signature
from trainer.metrics.metric import Metric
from trainer.supervised.targets import metric_sums

RESAMPLES = 1000
# Of resamples, examples and outputs that are computed at once.
_MOST_ELEMENTS = 2**23


def bootstrap(
    metrics: Sequence[Metric],
    signature: Signature,
    outputs: NDArray[np.float32],
    targets: NDArray[np.generic],
    seed: int = 0,
) -> Mapping[str, tuple[float, float]]:
    """The 95 % percentile bootstrap interval of each metric that is a number.

    A resample draws N of the N examples with replacement. It is the vector of how often each was
    drawn, which are the weights of the metrics, and a metric is computed from its sums over the
    resample, as over the examples. The network is not computed again.
    Source: Efron (1979); Efron and Tibshirani (1993), section 13.3, for the percentiles.

    Args:
      metrics: of the target.
      signature: of the run.
      outputs: of the network, float32 `[N, C]`.
      targets: as stored, `[N, ...]`.
      seed: of the resamples.

    Returns:
      Low and high by the name of the metric.
    """
    numbers = [metric for metric in metrics if metric.more_is_better is not None]
    # Several metrics are computed from the same sums.
    first = {(metric.update, metric.of): metric for metric in reversed(numbers)}
    places = {key: place for place, key in enumerate(first)}
    logits, labels = tf.constant(outputs), tf.constant(targets)

    @tf.function(reduce_retracing=True)
    def sums_of(weights: tf.Tensor) -> tuple[tf.Tensor, ...]:
        # What does not depend on the weights is computed once for all of them.
        return tf.vectorized_map(
            lambda each: metric_sums(list(first.values()), signature, logits, labels, each), weights
        )

    random = np.random.default_rng(seed)
    count = len(outputs)
    values: dict[str, list[float]] = {metric.name: [] for metric in numbers}
    part = max(1, min(RESAMPLES, _MOST_ELEMENTS // outputs.size))
    for start in range(0, RESAMPLES, part):
        weights = np.stack(
            [
                np.bincount(random.integers(0, count, count), minlength=count)
                for _ in range(min(part, RESAMPLES - start))
            ]
        )
        sums = [each.numpy().astype(np.float64) for each in sums_of(weights.astype(np.float32))]
        for metric in numbers:
            of_resamples = sums[places[metric.update, metric.of]]
            values[metric.name] += [float(metric.finish(each)) for each in of_resamples]  # type: ignore[arg-type]
    return {
        name: (float(low), float(high))
        for name, each in values.items()
        for low, high in [np.percentile(each, [2.5, 97.5])]
    }

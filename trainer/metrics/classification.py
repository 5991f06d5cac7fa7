"""Metrics of classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trainer.metrics import confusion, probabilities
from trainer.metrics.metric import Metric, Of, mean, weighted_sum

if TYPE_CHECKING:
    from trainer.compat.keras import tf


def _accuracy(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Examples whose largest logit is that of their class."""
    from trainer.compat.keras import tf

    hits = tf.equal(tf.argmax(logits, -1, tf.int32), targets)
    return weighted_sum(tf.cast(hits, tf.float32), weights)


def _loss(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Cross-entropy −log softmax(logits)[target], nats, without label smoothing."""
    from trainer.compat.keras import tf

    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    return weighted_sum(losses, weights)


def _top_5(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Examples whose class has one of the five largest logits; ties count for the class."""
    from trainer.compat.keras import tf

    own = tf.gather(logits, targets, axis=1, batch_dims=1)
    # Negated, so that a logit that is not a number is no hit.
    larger = tf.reduce_sum(tf.cast(~(logits <= own[:, None]), tf.int32), axis=1)
    return weighted_sum(tf.cast(larger < 5, tf.float32), weights)


LOSS = Metric("loss", _loss, mean, more_is_better=False)

METRICS = (
    LOSS,
    Metric("accuracy", _accuracy, mean, more_is_better=True, of=Of.DECISIONS),
    Metric("top_5", _top_5, mean, more_is_better=True),
    *confusion.METRICS,
    *probabilities.METRICS,
)

# Reported in training beside the metrics; whether more is better, None where neither is.
TRAINING: Mapping[str, bool | None] = {
    "gradient_norm": None,
    "learning_rate": None,
    "examples_per_second": True,
    "updates_per_second": True,
}

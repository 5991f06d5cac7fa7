"""The losses of classification, multi-label classification and regression."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.config.supervised import Train
from trainer.data.signature import MULTI_LABEL, REGRESSION, Signature
from trainer.errors import UserError, unknown_name

# From targets as stored, or mixed ones, and outputs float32 `[B, C]` to losses float32 `[B]`.
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def make_loss(train: Train, signature: Signature, targets: NDArray[Any]) -> Loss:
    """The loss that training minimizes.

    Args:
      train: label smoothing, class weights and the exponent of the focal loss.
      signature: of the data set.
      targets: of the training split, whose frequencies `balanced` class weights need.

    Raises:
      UserError: if a setting does not fit the target.
    """
    if signature.target == REGRESSION:
        for name in ("label_smoothing", "focal_gamma", "class_weights"):
            value = getattr(train, name)
            if value:
                raise UserError(
                    f"train.{name} is for classes; set it to {type(value)()!r} for a regression. "
                    f"Received: {value}"
                )
        return functools.partial(
            squared_error, offset=signature.target_offset, scale=signature.target_scale
        )
    settings = {"label_smoothing": train.label_smoothing, "focal_gamma": train.focal_gamma}
    if signature.target == MULTI_LABEL:
        weights = label_weights(train.class_weights, signature.classes, targets)
        return functools.partial(binary_cross_entropy, label_weights=weights, **settings)
    weights = class_weights(train.class_weights, signature.classes, targets)
    return functools.partial(cross_entropy, class_weights=weights, **settings)


def cross_entropy(
    targets: tf.Tensor,
    logits: tf.Tensor,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    class_weights: Sequence[float] = (),
) -> tf.Tensor:
    """Categorical cross-entropy −Σ_c w_c p_c (1 − q_c)^γ log q_c, where q = softmax(logits), nats.

    Label smoothing (Szegedy et al., 2016): p = (1 − ε) target + ε / classes. The factor of γ is
    the focal loss (Lin et al., 2017, arXiv:1708.02002, equation 4).

    Args:
      targets: int32 `[B]`, class numbers, or float32 `[B, classes]`, probabilities.
      logits: float32 `[B, classes]`.
      label_smoothing: ε, the probability spread evenly over all classes.
      focal_gamma: γ; 0 for the cross-entropy.
      class_weights: w; empty: 1 each.

    Returns:
      float32 `[B]`.
    """
    classes = logits.shape[-1]
    is_plain = not (label_smoothing or focal_gamma or class_weights)
    if targets.shape.rank == 1:
        if is_plain:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        targets = tf.one_hot(targets, classes)
    p = (1 - label_smoothing) * targets + label_smoothing / classes
    if not (focal_gamma or class_weights):
        return tf.nn.softmax_cross_entropy_with_logits(p, logits)
    log_q = tf.nn.log_softmax(logits)
    if focal_gamma:
        p *= tf.pow(1 - tf.exp(log_q), focal_gamma)
    if class_weights:
        p *= tf.constant(class_weights, tf.float32)
    return -tf.reduce_sum(p * log_q, axis=-1)


def binary_cross_entropy(
    targets: tf.Tensor,
    logits: tf.Tensor,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    label_weights: Sequence[float] = (),
) -> tf.Tensor:
    """−w p (1 − q)^γ log q − (1 − p) q^γ log(1 − q), q = sigmoid(logits); mean over labels, nats.

    Args:
      targets: float32 `[B, L]`, 0 or 1, or probabilities.
      logits: float32 `[B, L]`.
      label_smoothing: ε in p = (1 − ε) target + ε / 2.
      focal_gamma: γ of the focal loss (Lin et al., 2017); 0 for the cross-entropy.
      label_weights: w of each label where it is present; empty: 1 each.

    Returns:
      float32 `[B]`.
    """
    p = (1 - label_smoothing) * targets + label_smoothing / 2
    log_q, log_not_q = tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)
    present, absent = p * log_q, (1 - p) * log_not_q
    if focal_gamma:
        present *= tf.exp(focal_gamma * log_not_q)
        absent *= tf.exp(focal_gamma * log_q)
    if label_weights:
        present *= tf.constant(label_weights, tf.float32)
    return -tf.reduce_mean(present + absent, axis=-1)


def squared_error(
    targets: tf.Tensor, outputs: tf.Tensor, offset: Sequence[float], scale: Sequence[float]
) -> tf.Tensor:
    """(output − (target − offset) · scale)², the mean over the values.

    Args:
      targets: float32 `[B, T]`, in their own unit.
      outputs: float32 `[B, T]`, standardized.
      offset: mean of each value in the training split.
      scale: 1 / standard deviation of each value.

    Returns:
      float32 `[B]`.
    """
    standardized = standardize(targets, offset, scale)
    return tf.reduce_mean(tf.square(outputs - standardized), axis=-1)


def standardize(targets: tf.Tensor, offset: Sequence[float], scale: Sequence[float]) -> tf.Tensor:
    """(target − offset) · scale, float32 `[B, T]`."""
    return (targets - tf.constant(offset, tf.float32)) * tf.constant(scale, tf.float32)


def class_weights(
    text: str, classes: Sequence[str], targets: NDArray[np.int32]
) -> tuple[float, ...]:
    """The weight of each class: balanced N / (C · N_c), or those given; empty for none.

    Args:
      text: as in `train.class_weights`.
      classes: names of the classes.
      targets: class numbers of the training split, `[N]`.

    Raises:
      UserError: if a name or a number is wrong.
    """
    if text != "balanced":
        return _given_weights(text, classes)
    counts = np.bincount(targets, minlength=len(classes))
    # A class without training examples has no loss to weigh.
    weights = len(targets) / (len(classes) * np.maximum(counts, 1))
    return tuple(weights.tolist())


def label_weights(
    text: str, labels: Sequence[str], targets: NDArray[np.float32]
) -> tuple[float, ...]:
    """The weight of each label where it is present: balanced absent / present, or those given.

    Args:
      text: as in `train.class_weights`.
      labels: names of the labels.
      targets: of the training split, `[N, L]`, 0 or 1.

    Raises:
      UserError: if a name or a number is wrong.
    """
    if text != "balanced":
        return _given_weights(text, labels)
    present = targets.sum(axis=0, dtype=np.float64)
    return tuple(((len(targets) - present) / np.maximum(present, 1)).tolist())


def _given_weights(text: str, names: Sequence[str]) -> tuple[float, ...]:
    """Weights of `NAME=WEIGHT,…`; 1 for names that are not given."""
    if not text:
        return ()
    weights = dict.fromkeys(names, 1.0)
    for part in text.split(","):
        name, _, number = part.rpartition("=")
        if name.strip() not in weights:
            raise unknown_name("class in train.class_weights", name.strip(), names)
        try:
            weights[name.strip()] = float(number)
        except ValueError:
            weights[name.strip()] = -1.0
        if not 0 <= weights[name.strip()] < np.inf:
            raise UserError(
                "train.class_weights must be balanced, or NAME=WEIGHT,… with weights >= 0. "
                f"Received: {part!r}"
            )
    return tuple(weights.values())

"""Update rules as functions of tensors, for updates that XLA compiles as one loop."""

import dataclasses
from collections.abc import Callable

from trainer.compat.keras import tf

Tensors = list[tf.Tensor]
# From parameters, slots (one list each), gradients, the learning rate and the number of updates so
# far, to the next parameters and slots.
Apply = Callable[
    [Tensors, list[Tensors], Tensors, tf.Tensor, tf.Tensor], tuple[Tensors, list[Tensors]]
]


@dataclasses.dataclass(frozen=True)
class UpdateRule:
    """An optimizer's rule without its state.

    Attributes:
      slots: the optimizer's variables, a list for each kind, in the order of the parameters.
      apply: the rule.
    """

    slots: tuple[list[tf.Variable], ...]
    apply: Apply


def adam(beta_1: float, beta_2: float, epsilon: float) -> Apply:
    """Adam (Kingma and Ba, 2015, algorithm 1) in the order of operations of section 2."""

    def apply(
        parameters: Tensors,
        slots: list[Tensors],
        gradients: Tensors,
        learning_rate: tf.Tensor,
        updates: tf.Tensor,
    ) -> tuple[Tensors, list[Tensors]]:
        t = tf.cast(updates + 1, tf.float32)
        alpha_t = learning_rate * tf.sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t)
        m = [m + (1 - beta_1) * (g - m) for m, g in zip(slots[0], gradients, strict=True)]
        v = [v + (1 - beta_2) * (g * g - v) for v, g in zip(slots[1], gradients, strict=True)]
        moved = [
            p - alpha_t * m / (tf.sqrt(v) + epsilon)
            for p, m, v in zip(parameters, m, v, strict=True)
        ]
        return moved, [m, v]

    return apply


def gradient_descent(
    parameters: Tensors,
    slots: list[Tensors],
    gradients: Tensors,
    learning_rate: tf.Tensor,
    updates: tf.Tensor,
) -> tuple[Tensors, list[Tensors]]:
    """A step of size `learning_rate` against the gradient."""
    del slots, updates
    moved = [p - learning_rate * g for p, g in zip(parameters, gradients, strict=True)]
    return moved, []

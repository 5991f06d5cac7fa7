"""Stochastic depth: residual branches that are dropped for single examples."""

from trainer.compat.keras import tf
from trainer.models.dropout import Dropout


class StochasticDepth(Dropout):
    """Sets a residual branch to 0 for a fraction `rate` of the examples (Huang et al., 2016).

    The paper scales the branch by its survival probability 1 − rate in inference. Here the
    branches that survive are divided by it in training, which has the same expectation. The
    mask depends on (seed, layer name, step, replica), like dropout's.

    Input and output shape: `[B, ...]`, any floating dtype.
    """

    def _mask_shape(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.stack([tf.shape(inputs)[0], *[1] * (len(inputs.shape) - 1)])


def linear_rate(block: int, blocks: int, final_rate: float) -> float:
    """The rate of block number `block`, from 1, by the paper's linear rule.

    Early blocks are dropped rarely, since all later ones use their features; the last one of
    `blocks` is dropped at `final_rate`.
    """
    return final_rate * block / blocks

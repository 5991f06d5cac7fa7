"""A binary tree of sums, which draws items in proportion to their values."""

import math

from trainer.compat.keras import tf


class SumTree(tf.Module):
    """Values of items, and the sums of a binary tree above them, in one variable.

    Node k has the children 2k and 2k + 1, node 1 is the root, and the leaves come last.

    The sums are float64: with float32 a sum of a million ones is exact to 1/16 only, so that
    smaller values among them could not be found.

    Source: Schaul et al. (2016), appendix B.2.1.
    """

    def __init__(self, size: int):
        """All `size` values are 0."""
        super().__init__()
        self._depth = _depth(size)
        self._leaves = 2**self._depth
        self._nodes = tf.Variable(tf.zeros([2 * self._leaves], tf.float64), trainable=False)

    def clear(self) -> None:
        """Sets all values to 0."""
        self._nodes.assign(tf.zeros_like(self._nodes))

    def total(self) -> tf.Tensor:
        """The sum of all values, scalar float64."""
        # Indexing a variable that was scatter-updated would copy all of it.
        return tf.gather(self._nodes, 1)

    def values(self, items: tf.Tensor) -> tf.Tensor:
        """The values of `items`, int64 `[N]`, as float64 `[N]`."""
        return tf.gather(self._nodes, items + self._leaves)

    def find(self, targets: tf.Tensor) -> tf.Tensor:
        """The items at which the cumulative sum of the values first exceeds each target.

        Args:
          targets: float64 `[N]` in [0, total).

        Returns:
          int64 `[N]`, items of positive value.
        """
        node = tf.ones_like(targets, tf.int64)
        for _ in range(self._depth):
            left = tf.gather(self._nodes, 2 * node)
            right = tf.gather(self._nodes, 2 * node + 1)
            # Rounding must not lead into an empty half.
            go_right = (targets >= left) & (right > 0.0)
            targets = tf.where(go_right, targets - left, targets)
            node = 2 * node + tf.cast(go_right, tf.int64)
        return node - self._leaves

    def assign(self, items: tf.Tensor, values: tf.Tensor) -> None:
        """Replaces the values of `items`, int64 `[N]`, by float64 `[N]`."""
        node = items + self._leaves
        self._nodes.scatter_nd_update(node[:, None], values)
        for _ in range(self._depth):
            node = node // 2
            children = tf.gather(self._nodes, 2 * node) + tf.gather(self._nodes, 2 * node + 1)
            self._nodes.scatter_nd_update(node[:, None], children)


def memory_bytes(size: int) -> int:
    """The memory of a tree of `size` items: two nodes of 8 bytes per leaf."""
    return 16 * 2 ** _depth(size)


def _depth(size: int) -> int:
    """Levels below the root of a binary tree with a leaf per item."""
    return max(1, math.ceil(math.log2(size)))

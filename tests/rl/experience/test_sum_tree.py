import numpy as np

from trainer.compat.keras import tf
from trainer.rl.experience.sum_tree import SumTree, memory_bytes


def test_each_of_a_million_items_is_found_at_its_place():
    """Also the small ones between others that are 256 times larger."""
    size = 2**20
    # All sums are exact in float64, but not in float32.
    values = np.where(np.arange(size) % 4, 1.0, 1 / 256)
    tree = SumTree(size)
    items = np.arange(size)
    tree.assign(tf.constant(items), tf.constant(values))
    upper = np.cumsum(values)
    assert float(tree.total()) == upper[-1]
    np.testing.assert_array_equal(tree.find(tf.constant(upper - 0.75 * values)), items)
    np.testing.assert_array_equal(tree.values(tf.constant(items)), values)


def test_items_of_value_zero_are_never_found():
    tree = SumTree(6)
    tree.assign(tf.constant([1, 4], tf.int64), tf.constant([2.0, 3.0], tf.float64))
    targets = tf.constant([0.0, 1.99, 2.0, 4.99, 5.0, 6.0], tf.float64)
    np.testing.assert_array_equal(tree.find(targets), [1, 1, 4, 4, 4, 4])
    tree.assign(tf.constant([1], tf.int64), tf.constant([0.0], tf.float64))
    assert float(tree.total()) == 3.0
    np.testing.assert_array_equal(tree.find(targets), [4] * 6)


def test_memory_is_that_of_the_nodes():
    for size in (1, 2, 1000, 1024, 1025):
        taken = sum(variable.numpy().nbytes for variable in SumTree(size).variables)
        assert taken == memory_bytes(size)

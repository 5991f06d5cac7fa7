import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.models.stochastic_depth import StochasticDepth, linear_rate


def masks(seed=0, name="branch", at=0, rate=0.25):
    """Which of 4000 examples keep their branch `[B, 2, 2, 3]`."""
    step = tf.Variable(at, dtype=tf.int64)
    outputs = StochasticDepth(rate, seed, step, name)(tf.ones([4000, 2, 2, 3]), training=True)
    flat = outputs.numpy().reshape(4000, -1)
    # An example is dropped as a whole.
    assert (flat == flat[:, :1]).all()
    return flat[:, 0]


def test_examples_are_dropped_at_the_rate():
    kept = masks()
    assert set(np.unique(kept).tolist()) == {0.0, np.float32(1 / 0.75)}
    # Four standard deviations.
    assert abs((kept == 0).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)


def test_the_mask_is_a_function_of_seed_name_and_step():
    base = masks()
    np.testing.assert_array_equal(base, masks())
    for other in (masks(seed=1), masks(name="another"), masks(at=1)):
        assert (base != other).mean() > 0.2


def test_all_branches_are_kept_in_evaluation():
    layer = StochasticDepth(0.9, 0, tf.Variable(0, dtype=tf.int64), "branch")
    np.testing.assert_array_equal(layer(tf.ones([8, 2]), training=False), np.ones([8, 2]))


def test_a_dropped_branch_gets_no_gradient():
    x = tf.Variable(tf.ones([64, 3]))
    layer = StochasticDepth(0.5, 0, tf.Variable(0, dtype=tf.int64), "branch")
    with tf.GradientTape() as tape:
        outputs = layer(x, training=True)
    gradient = tape.gradient(outputs, x).numpy()
    np.testing.assert_array_equal(gradient, outputs.numpy())
    assert (gradient == 0).any()
    assert (gradient == 2).any()


def test_later_blocks_are_dropped_more_often():
    rates = [linear_rate(block, 4, 0.2) for block in (1, 2, 3, 4)]
    assert rates == pytest.approx([0.05, 0.1, 0.15, 0.2])

"""The layer's variables, precision and errors; tests/models/test_formulas.py has its formula."""

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.errors import UserError
from trainer.models.batch_norm import BatchNormalization

RANDOM = np.random.default_rng(0)


def images(batch_size=8):
    return tf.constant(RANDOM.normal(size=(batch_size, 4, 4, 3)), tf.float32)


def test_one_group_is_keras_layer():
    """Values, gradients and moving averages are those of tf_keras."""
    x = images()
    ours = BatchNormalization(momentum=0.9)
    theirs = keras.layers.BatchNormalization(momentum=0.9)
    results = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(y**3)
        gradients = tape.gradient(loss, [x, *layer.trainable_variables])
        results.append([y, *gradients, *layer.variables, layer(x, training=False)])
    for our, their in zip(*results, strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-5, atol=1e-5)


def test_each_group_is_normalized_as_a_batch_of_its_own():
    x = images()
    grouped, alone = BatchNormalization(group_size=2), BatchNormalization()
    y = grouped(x, training=True)
    parts = [alone(part, training=True) for part in tf.split(x, 4)]
    np.testing.assert_allclose(y, tf.concat(parts, 0), rtol=1e-6, atol=1e-6)
    for our, their in zip(grouped.variables, alone.variables, strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-6, atol=1e-7)


def test_a_frozen_layer_is_in_inference():
    layer = BatchNormalization()
    layer.trainable = False
    x = images()
    np.testing.assert_array_equal(layer(x, training=True), layer(x, training=False))
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(3))


def test_scale_and_center_are_optional():
    layer = BatchNormalization(scale=False, center=False)
    y = layer(images(), training=True)
    assert layer.trainable_variables == []
    np.testing.assert_allclose(tf.reduce_mean(y, [0, 1, 2]), np.zeros(3), atol=1e-6)


def test_tables_are_normalized_by_column():
    x = tf.constant(RANDOM.normal(2.0, 3.0, size=(64, 5)), tf.float32)
    y = BatchNormalization()(x, training=True)
    np.testing.assert_allclose(tf.math.reduce_std(y, 0), np.ones(5), atol=1e-3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_statistics_are_float32_under_mixed_precision(policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        layer = BatchNormalization(group_size=4)
        x = images()
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) ** 3)
        gradients = tape.gradient(loss, [x, *layer.trainable_variables])
        inference = layer(x, training=False)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert y.dtype == inference.dtype == policy.removeprefix("mixed_")
    assert {variable.dtype for variable in layer.variables} == {tf.float32}
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_the_group_must_divide_the_batch():
    layer = BatchNormalization(group_size=3)
    with pytest.raises(UserError, match=r"train\.batch_norm_group must divide .* 8 examples"):
        layer(images(), training=True)
    # No statistics of the batch are taken here.
    layer(images(), training=False)

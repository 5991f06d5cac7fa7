import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.config.fields import variants
from trainer.config.sections import CNN, MLP, ConvNet, KerasCNN, Linear, Model
from trainer.errors import UserError
from trainer.models.dropout import Dropout
from trainer.models.network import BUILDERS, build_network


def build(config, shape=(32, 32, 3), outputs=10):
    return build_network(config, shape, outputs, seed=0, step=tf.Variable(0, dtype=tf.int64))


def test_every_kind_of_the_schema_has_a_builder():
    assert set(BUILDERS) == set(variants(Model))


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (Linear(), 3072 * 10 + 10),
        # 3·3·3·32 + 32 in the convolution, 15·15·32·10 + 10 in the head.
        (KerasCNN(), 72_906),
        # 456 + 2,416 + 48,120 + 10,164 + 850.
        (ConvNet(), 62_006),
    ],
    ids=["linear", "keras_cnn", "convnet"],
)
def test_the_founding_networks_have_their_parameters(config, parameters):
    assert build(config).count_params() == parameters


def test_the_founding_networks_have_their_layers():
    kinds = [type(layer).__name__ for layer in build(KerasCNN()).layers]
    assert kinds == ["Conv2D", "MaxPooling2D", "Flatten", "Dense"]
    kinds = [type(layer).__name__ for layer in build(ConvNet()).layers]
    pair = ["Conv2D", "MaxPooling2D"]
    assert kinds == [*pair, *pair, "Flatten", "Dense", "Dense", "Dense"]


def test_the_head_is_float32_under_mixed_precision():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = build(CNN())
        assert network(tf.zeros([2, 32, 32, 3])).dtype == tf.float32
        assert network.layers[0].compute_dtype == "bfloat16"
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_options_reach_the_layers():
    plain = build(CNN(filters=(4,), units=()))
    rich = build(CNN(filters=(4,), units=(8,), batch_norm=True, dropout=0.5, pool=1, strides=2))
    kinds = [type(layer).__name__ for layer in rich.layers]
    assert kinds == [
        "Conv2D", "BatchNormalization", "Activation", "Flatten", "Dense", "Dropout", "Dense",
    ]  # fmt: skip
    assert rich.layers[0].strides == (2, 2)
    assert not rich.layers[0].use_bias
    assert [type(layer).__name__ for layer in plain.layers] == [
        "Conv2D", "Activation", "MaxPooling2D", "Flatten", "Dense",
    ]  # fmt: skip


def test_layers_are_fresh_each_time():
    first, second = build(MLP(), (4,)), build(MLP(), (4,))
    assert not {id(v) for v in first.variables} & {id(v) for v in second.variables}


def test_a_table_is_no_image():
    with pytest.raises(UserError, match="needs images; take mlp or linear"):
        build(CNN(), (7,))


def test_an_image_too_small_is_one_line():
    with pytest.raises(UserError, match=r"shrinks examples of shape \(8, 8, 1\)"):
        build(ConvNet(), (8, 8, 1))


def test_dropout_is_a_function_of_seed_layer_and_step():
    step = tf.Variable(0, dtype=tf.int64)
    inputs = tf.ones([64, 100])

    def mask(seed, layer, at):
        step.assign(at)
        return Dropout(0.25, (seed, layer), step)(inputs, training=True).numpy()

    base = mask(0, 0, 0)
    np.testing.assert_array_equal(base, mask(0, 0, 0))
    for other in (mask(1, 0, 0), mask(0, 1, 0), mask(0, 0, 1)):
        assert (base != other).mean() > 0.2
    assert set(np.unique(base).tolist()) == {0.0, np.float32(1 / 0.75)}
    assert abs((base == 0).mean() - 0.25) < 0.02


def test_dropout_is_off_in_evaluation():
    inputs = tf.ones([8, 8])
    layer = Dropout(0.9, (0, 0), tf.Variable(0, dtype=tf.int64))
    np.testing.assert_array_equal(layer(inputs, training=False), inputs)

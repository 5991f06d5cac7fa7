import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.config import CNN, MLP, ConvNet, CustomModel, KerasCNN, Linear
from trainer.config.fields import variants
from trainer.config.models import Model
from trainer.errors import UserError
from trainer.models.building import build_network, find_builder
from trainer.models.context import Context
from trainer.models.dropout import Dropout


def context(seed=0):
    return Context(seed, tf.Variable(0, dtype=tf.int64))


def build(config, shape=(32, 32, 3), outputs=10):
    return build_network(config, shape, outputs, context()).model


def test_every_kind_of_the_configuration_has_a_builder():
    for kind, section in variants(Model).items():
        if kind != "custom":
            assert callable(find_builder(section()))


def test_a_custom_builder_is_imported():
    config = CustomModel(builder="trainer.models.linear:build")
    assert build(config).count_params() == build(Linear()).count_params()


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
    assert kinds == ["InputLayer", "Conv2D", "MaxPooling2D", "Flatten", "Dense"]
    kinds = [type(layer).__name__ for layer in build(ConvNet()).layers]
    pair = ["Conv2D", "MaxPooling2D"]
    assert kinds == ["InputLayer", *pair, *pair, "Flatten", "Dense", "Dense", "Dense"]


def test_the_head_is_float32_under_mixed_precision():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = build(CNN())
        assert network(tf.zeros([2, 32, 32, 3])).dtype == tf.float32
        assert network.layers[1].compute_dtype == "bfloat16"
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_options_reach_the_layers():
    plain = build(CNN(filters=(4,), units=()))
    rich = build(CNN(filters=(4,), units=(8,), batch_norm=True, dropout=0.5, pool=1, strides=(2,)))
    kinds = [type(layer).__name__ for layer in rich.layers]
    assert kinds == [
        "InputLayer", "Conv2D", "BatchNormalization", "Activation", "Flatten", "Dense", "Dropout",
        "Dense",
    ]  # fmt: skip
    assert rich.layers[1].strides == (2, 2)
    assert not rich.layers[1].use_bias
    assert [type(layer).__name__ for layer in plain.layers] == [
        "InputLayer", "Conv2D", "Activation", "MaxPooling2D", "Flatten", "Dense",
    ]  # fmt: skip


def test_each_convolution_has_its_kernel_and_strides():
    network = build(
        CNN(filters=(4, 5, 6), kernel_size=(5, 3, 2), strides=(2,), pool=1), (24, 24, 1)
    )
    layers = [layer for layer in network.layers if type(layer).__name__ == "Conv2D"]
    assert [layer.kernel_size for layer in layers] == [(5, 5), (3, 3), (2, 2)]
    assert [layer.strides for layer in layers] == [(2, 2)] * 3


def test_layers_are_fresh_each_time():
    first, second = build(MLP(), (4,)), build(MLP(), (4,))
    assert not {id(v) for v in first.variables} & {id(v) for v in second.variables}


def test_a_table_is_no_image():
    with pytest.raises(UserError, match="needs images; use mlp or linear"):
        build(CNN(), (7,))


def test_an_image_too_small_is_one_line():
    with pytest.raises(UserError, match=r"reduces examples of shape \(8, 8, 1\) to nothing"):
        build(ConvNet(), (8, 8, 1))


def test_dropout_is_a_function_of_seed_name_and_step():
    step = tf.Variable(0, dtype=tf.int64)
    inputs = tf.ones([64, 100])

    def mask(seed, name, at):
        step.assign(at)
        return Dropout(0.25, seed, step, name)(inputs, training=True).numpy()

    base = mask(0, "a", 0)
    np.testing.assert_array_equal(base, mask(0, "a", 0))
    for other in (mask(1, "a", 0), mask(0, "b", 0), mask(0, "a", 1)):
        assert (base != other).mean() > 0.2
    assert set(np.unique(base).tolist()) == {0.0, np.float32(1 / 0.75)}
    assert abs((base == 0).mean() - 0.25) < 0.02


def test_two_dropout_layers_of_one_name_are_refused():
    made = context()
    inputs = keras.Input((4,))
    outputs = made.dropout(0.5, "same")(made.dropout(0.5, "same")(inputs))
    with pytest.raises(ValueError, match="unique"):
        keras.Model(inputs, outputs)


def test_dropout_is_off_in_evaluation():
    inputs = tf.ones([8, 8])
    layer = Dropout(0.9, 0, tf.Variable(0, dtype=tf.int64), "dropout")
    np.testing.assert_array_equal(layer(inputs, training=False), inputs)


@pytest.mark.parametrize("rate", [0.001, 0.01])
def test_small_rates_are_kept_under_mixed_precision(rate):
    """bfloat16 has 128 numbers in [0.5, 1), so a mask drawn in it drops 0.0079 of the units."""
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        layer = Dropout(rate, 0, tf.Variable(0, dtype=tf.int64), "dropout")
        outputs = layer(tf.ones([1000, 1000]), training=True)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert outputs.dtype == tf.bfloat16
    dropped = np.mean(outputs.numpy() == 0)
    # Four standard deviations of the mean of a million draws.
    assert abs(dropped - rate) < 4 * np.sqrt(rate / 1e6)

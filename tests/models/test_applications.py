import pytest

from trainer.compat.keras import keras, tf
from trainer.config import Applications
from trainer.errors import UserError
from trainer.models.batch_norm import BatchNormalization
from trainer.models.building import build_network
from trainer.models.context import Context
from trainer.models.dropout import Dropout
from trainer.models.stochastic_depth import StochasticDepth


def build(name, shape=(32, 32, 3)):
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    context = Context(0, step, batch_norm_group=4)
    return build_network(Applications(name=name), shape, 10, context).model


def test_layers_with_state_of_their_own_are_replaced():
    """EfficientNet has all of them: rescaling, standardization, batch normalization, drops."""
    layers = build("EfficientNetB0").layers
    replaced = (
        keras.layers.Dropout,
        keras.layers.BatchNormalization,
        keras.layers.Rescaling,
        keras.layers.Normalization,
    )
    assert [layer.name for layer in layers if isinstance(layer, replaced)] == []
    assert sum(isinstance(layer, BatchNormalization) for layer in layers) == 49
    # The published network drops 9 branches and no single units before its head.
    assert [type(layer) for layer in layers if isinstance(layer, Dropout)] == [StochasticDepth] * 9


def test_images_that_are_too_small_are_refused():
    with pytest.raises(UserError, match="InceptionV3: images must be at least 75x75"):
        build("InceptionV3")


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UserError, match=r"unknown model\.name\. Did you mean 'MobileNetV2'"):
        build("MobileNetV22")

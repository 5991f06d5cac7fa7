import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.config import ResNet
from trainer.models.building import build_network
from trainer.models.context import Context
from trainer.models.residual_blocks import PaddedShortcut, Style, residual_stages
from trainer.models.stochastic_depth import StochasticDepth


def context():
    return Context(0, tf.Variable(0, dtype=tf.int64, trainable=False))


def test_a_padded_shortcut_takes_every_second_pixel_and_adds_zeros():
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
    y = PaddedShortcut(filters=5, strides=2)(x).numpy()
    assert y.shape == (2, 3, 3, 5)
    np.testing.assert_array_equal(y[..., :3], x[:, ::2, ::2])
    np.testing.assert_array_equal(y[..., 3:], 0)


@pytest.mark.parametrize(
    ("style", "shape"),
    [
        (Style(blocks=4), (None, 4, 4, 8)),
        (Style(blocks=4, projection=False), (None, 4, 4, 8)),
        (Style(blocks=4, preactivation=True, dropout=0.5), (None, 4, 4, 8)),
        (Style(blocks=4, bottleneck=True), (None, 4, 4, 32)),
        (Style(blocks=4, bottleneck=True, preactivation=True), (None, 4, 4, 32)),
        (Style(blocks=4, bottleneck=True, projection=False), (None, 4, 4, 32)),
    ],
)
def test_stages_double_the_channels_and_halve_the_size(style, shape):
    inputs = keras.Input((8, 8, 4))
    outputs = residual_stages(inputs, 4, (2, 2), style, context())
    assert outputs.shape == shape
    kinds = [type(layer).__name__ for layer in keras.Model(inputs, outputs).layers]
    assert kinds.count("Add") == style.blocks
    assert ("PaddedShortcut" in kinds) is not style.projection


def test_the_last_block_is_dropped_at_the_configured_rate():
    """Each of the three blocks is dropped for its fraction of the examples."""
    config = ResNet(depth=8, width=0.25, stochastic_depth=0.6)
    network = build_network(config, (8, 8, 3), 2, context()).model
    layers = [layer for layer in network.layers if isinstance(layer, StochasticDepth)]
    dropped = [np.mean(layer(tf.ones([4000, 1]), training=True).numpy() == 0) for layer in layers]
    np.testing.assert_allclose(dropped, [0.2, 0.4, 0.6], atol=0.04)

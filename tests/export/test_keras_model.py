"""Networks of Keras' own layers compute what networks of ours compute."""

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.config import CNN, Airbench, Applications, Inception, ResNet, WideResNet
from trainer.errors import UserError
from trainer.export.keras_model import with_stock_layers
from trainer.models.building import build_network
from trainer.models.context import Context

NETWORKS = {
    "cnn": (CNN(filters=(4,), units=(8,), batch_norm=True, dropout=0.5), 8),
    "inception": (Inception(width=0.05), 16),
    "resnet": (ResNet(depth=8, width=0.25, stochastic_depth=0.5), 9),
    "wide_resnet": (WideResNet(depth=10, width=0.25, dropout=0.5, stochastic_depth=0.5), 8),
    "airbench": (Airbench(width=0.05), 16),
    "applications": (Applications(name="MobileNet"), 32),
}


def random_network(kind):
    """A network whose variables are all random, those of batch normalization too."""
    model, size = NETWORKS[kind]
    context = Context(0, tf.Variable(3, dtype=tf.int64, trainable=False))
    network = build_network(model, (size, size, 3), 4, context).model
    random = np.random.default_rng(0)
    for variable in network.variables:
        if variable.dtype.is_floating:
            variable.assign(random.uniform(0.1, 0.5, variable.shape))
    return network, random.normal(size=(5, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_saved_copy_computes_the_same(kind, tmp_path):
    network, images = random_network(kind)
    with_stock_layers(network).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    for ours, theirs in zip(
        tf.nest.flatten(network(images)), tf.nest.flatten(loaded(images)), strict=True
    ):
        np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-4)
    own_layers = {type(layer).__module__.split(".")[0] for layer in loaded.layers}
    assert own_layers == {"tf_keras"}


def test_a_layer_of_the_user_is_refused_by_name():
    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    inputs = keras.Input([3])
    with pytest.raises(UserError, match=r"--format=saved_model. Received: Doubled 'doubled'"):
        with_stock_layers(keras.Model(inputs, Doubled(name="doubled")(inputs)))

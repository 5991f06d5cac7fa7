"""Networks computed with other values than those of their variables."""

import numpy as np
import pytest

from trainer.compat.keras import keras, tf
from trainer.rl import functional


class Scaled(tf.Module):
    """A network and a variable of its own."""

    def __init__(self):
        super().__init__()
        inputs = keras.Input((3,))
        self.network = keras.Model(inputs, keras.layers.Dense(2)(inputs))
        self.scale = tf.Variable(1.0)
        self.hidden = [tf.Variable(1.0)]

    def __call__(self, x):
        return self.scale * self.network(x)


def test_values_replace_variables_within_the_context():
    module = Scaled()
    kernel, bias = module.network.trainable_variables
    variables = [kernel, bias, module.scale]
    x = tf.constant([[1.0, 2.0, 3.0]])
    before = module(x)
    values = [2.0 * kernel, bias + 1.0, tf.constant(3.0)]
    with functional.replaced(module, variables, values), tf.GradientTape() as tape:
        tape.watch(values)
        found = module(x)
    np.testing.assert_allclose(found, 3 * (x @ (2 * kernel.numpy()) + bias.numpy() + 1), rtol=1e-5)
    assert all(each is not None for each in tape.gradient(found, values))
    np.testing.assert_array_equal(module(x), before)
    assert module.scale is variables[2]
    assert module.network.trainable_variables[0] is kernel


def test_variables_return_after_an_error():
    module = Scaled()
    with pytest.raises(RuntimeError), functional.replaced(module, [module.scale], [tf.zeros([])]):
        raise RuntimeError
    assert isinstance(module.scale, tf.Variable)


def test_a_variable_in_a_list_is_not_found():
    module = Scaled()
    assert functional.finds_all(module, [module.scale, *module.network.trainable_variables])
    assert not functional.finds_all(module, module.hidden)

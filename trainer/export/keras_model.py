"""A trained network as a Keras model of Keras' own layers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import keras, tf
from trainer.data.normalization import normalize
from trainer.data.signature import CLASSIFICATION, MULTI_LABEL, Signature
from trainer.errors import UserError
from trainer.models.airbench import Whitening
from trainer.models.batch_norm import BatchNormalization
from trainer.models.dropout import Dropout
from trainer.models.residual_blocks import PaddedShortcut
from trainer.models.stochastic_depth import StochasticDepth
from trainer.supervised.predictor import Predictor


def stock_model(predictor: Predictor, dtype: tf.DType) -> keras.Model:
    """A model from stored examples `[B, ...]` to probabilities or values float32 `[B, C]`.

    Args:
      predictor: the network.
      dtype: of stored examples.

    Scaling comes first, and the heads of auxiliary classifiers are left out.

    Raises:
      UserError: if the network has a layer that Keras does not have, or is evaluated with
        test-time augmentation.
    """
    if predictor.experiment.evaluate.test_time_augmentation != "none":
        raise UserError(
            "a Keras model has no test-time augmentation; export with --format=saved_model. "
            "Received: evaluate.test_time_augmentation="
            f"{predictor.experiment.evaluate.test_time_augmentation}"
        )
    signature = predictor.signature
    network = with_stock_layers(predictor.classifier.network)
    inputs = keras.Input(signature.stored_shape, dtype=dtype, name="examples")
    outputs = network(_scaled(inputs, signature))
    logits = outputs[0] if isinstance(outputs, list) else outputs
    return keras.Model(inputs, _numbers(logits, signature), name="network_with_scaling")


def with_stock_layers(network: keras.Model) -> keras.Model:
    """A copy of a network, with the same weights."""
    copy = keras.models.clone_model(network, clone_function=_stock_layer)
    for own, stock in zip(network.layers, copy.layers, strict=True):
        stock.set_weights(_stock_weights(own))
    return copy


def _stock_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The layer of Keras that computes in inference what a layer of ours computes."""
    config = layer.get_config()
    name = layer.name
    if isinstance(layer, BatchNormalization):
        settings = ("momentum", "epsilon", "center", "scale")
        return keras.layers.BatchNormalization(
            name=name, **{setting: config[setting] for setting in settings}
        )
    if isinstance(layer, StochasticDepth):
        return keras.layers.Dropout(config["rate"], noise_shape=(None, 1, 1, 1), name=name)
    if isinstance(layer, Dropout):
        return keras.layers.Dropout(config["rate"], name=name)
    if isinstance(layer, Whitening):
        return keras.layers.Conv2D(layer.kernel.shape[-1], layer.kernel.shape[0], name=name)
    if isinstance(layer, PaddedShortcut):
        return keras.layers.Conv2D(
            config["filters"], 1, config["strides"], use_bias=False, trainable=False, name=name
        )
    if not type(layer).__module__.startswith("tf_keras."):
        raise UserError(
            "the network has a layer that Keras does not have; export with --format=saved_model. "
            f"Received: {type(layer).__name__} {name!r}"
        )
    for key, value in config.items():
        if key.endswith("_initializer") and not str(value["module"]).startswith("keras."):
            # The weights are copied, and the initializer is not one of Keras'.
            config[key] = "zeros"
    return type(layer).from_config(config)


def _stock_weights(layer: keras.layers.Layer) -> list[NDArray[Any]]:
    """The weights of a layer in the order of those of its `_stock_layer`."""
    if isinstance(layer, Whitening):
        return [layer.kernel.numpy(), layer.bias.numpy()]
    if isinstance(layer, PaddedShortcut):
        # Each filter copies a channel, or is 0.
        kernel = np.eye(layer.input_shape[-1], layer.output_shape[-1], dtype=np.float32)
        return [kernel[np.newaxis, np.newaxis]]
    if isinstance(layer, Dropout):
        # Ours keeps the step counter.
        return []
    weights: list[NDArray[Any]] = layer.get_weights()
    return weights


def _scaled(examples: tf.Tensor, signature: Signature) -> tf.Tensor:
    """The network's inputs of stored examples, both symbolic."""
    if signature.columns:
        return normalize(examples, signature)
    scale, offset = np.array(signature.scale), np.array(signature.offset)
    rescaling = keras.layers.Rescaling(scale.tolist(), (-offset * scale).tolist(), name="scaling")
    return rescaling(examples)


def _numbers(outputs: tf.Tensor, signature: Signature) -> tf.Tensor:
    """Probabilities or values of outputs, both symbolic."""
    if signature.target == CLASSIFICATION:
        return keras.layers.Activation("softmax", name="probabilities")(outputs)
    if signature.target == MULTI_LABEL:
        return keras.layers.Activation("sigmoid", name="probabilities")(outputs)
    deviation = 1 / np.array(signature.target_scale)
    rescaling = keras.layers.Rescaling(
        deviation.tolist(), list(signature.target_offset), name="values"
    )
    return rescaling(outputs)

"""From a `model` section to layers, and to a built network."""

from collections.abc import Callable

from trainer.compat.keras import keras, tf
from trainer.config.sections import Model
from trainer.errors import UserError
from trainer.models import convolutional, dense

BUILDERS: dict[str, Callable[..., list[keras.layers.Layer]]] = {
    "linear": dense.linear_layers,
    "mlp": dense.mlp_layers,
    "cnn": convolutional.cnn_layers,
    "keras_cnn": convolutional.keras_cnn_layers,
    "convnet": convolutional.convnet_layers,
}
IMAGE_MODELS = frozenset({"cnn", "keras_cnn", "convnet"})


def build_layers(
    config: Model, input_shape: tuple[int, ...], seed: int, step: tf.Variable
) -> list[keras.layers.Layer]:
    """Fresh, unbuilt layers of a trunk that ends in a vector `[B, features]`.

    Args:
      config: the `model` section.
      input_shape: one example's shape, `(H, W, C)` for an image, `(F,)` for a row.
      seed: the experiment's; dropout masks are a function of it.
      step: scalar int64, the count of updates so far.

    Raises:
      UserError: if a convolutional network is given something that is no image.
    """
    if config.kind in IMAGE_MODELS and len(input_shape) != 3:
        raise UserError(
            f"model.kind {config.kind!r} needs images; take mlp or linear for examples of shape "
            f"{input_shape}. Received: {config.kind!r}"
        )
    return BUILDERS[config.kind](config, seed, step)


def build_network(
    config: Model, input_shape: tuple[int, ...], outputs: int, seed: int, step: tf.Variable
) -> keras.Sequential:
    """A built network `[B, *input_shape] -> [B, outputs]`, its head linear and float32.

    A softmax is left to the loss, which is steadier on the head's raw values.

    Raises:
      UserError: if the network does not fit examples of `input_shape`.
    """
    layers = build_layers(config, input_shape, seed, step)
    network = keras.Sequential([*layers, keras.layers.Dense(outputs, dtype="float32")])
    try:
        network.build((None, *input_shape))
    except ValueError as error:
        if "Negative dimension" not in str(error) and "negative" not in str(error):
            raise
        raise UserError(
            f"model.kind {config.kind!r} shrinks examples of shape {input_shape} to nothing; "
            f"take a smaller kernel, less pooling or larger images. Received: {input_shape}"
        ) from error
    return network

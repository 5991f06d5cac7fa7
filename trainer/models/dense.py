"""Networks of dense layers: `linear` and `mlp`."""

from trainer.compat.keras import keras, tf
from trainer.config.sections import MLP, Linear
from trainer.models.dropout import Dropout


def linear_layers(config: Linear, seed: int, step: tf.Variable) -> list[keras.layers.Layer]:
    """Nothing but flattening: the head alone is W·x + b."""
    del config, seed, step
    return [keras.layers.Flatten()]


def mlp_layers(config: MLP, seed: int, step: tf.Variable) -> list[keras.layers.Layer]:
    """Dense layers `[B, ...] -> [B, units[-1]]`: h ← activation(W·h + b)."""
    return [
        keras.layers.Flatten(),
        *dense_stack(config.units, config.activation, config.dropout, seed, step),
    ]


def dense_stack(
    units: tuple[int, ...], activation: str, dropout: float, seed: int, step: tf.Variable
) -> list[keras.layers.Layer]:
    """A dense layer for each of `units`, each followed by dropout where it is on."""
    layers: list[keras.layers.Layer] = []
    for number, width in enumerate(units):
        layers.append(keras.layers.Dense(width, activation))
        if dropout:
            layers.append(Dropout(dropout, (seed, number), step))
    return layers

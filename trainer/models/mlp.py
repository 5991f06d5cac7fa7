"""`mlp`: fully connected layers, h ← activation(W·h + b)."""

from trainer.compat.keras import keras, tf
from trainer.config.models import MLP
from trainer.models.context import Context


def build(config: MLP, inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Maps `[B, ...]` to `[B, units[-1]]`."""
    features = keras.layers.Flatten()(inputs)
    return dense_layers(features, config.units, config.activation, config.dropout, context)


def dense_layers(
    features: tf.Tensor,
    units: tuple[int, ...],
    activation: str,
    dropout: float,
    context: Context,
) -> tf.Tensor:
    """One dense layer per element of `units`, each followed by dropout if its rate is not 0."""
    for number, width in enumerate(units):
        features = keras.layers.Dense(width, activation)(features)
        if dropout:
            features = context.dropout(dropout, f"dropout_{number}")(features)
    return features

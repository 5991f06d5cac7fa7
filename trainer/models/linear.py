"""`linear`: an affine map, W·x + b."""

from trainer.compat.keras import keras, tf
from trainer.config.models import Linear
from trainer.models.context import Context


def build(config: Linear, inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Flattens `[B, ...]` to `[B, F]`; the head of the task is the affine map."""
    del config, context
    return keras.layers.Flatten()(inputs)

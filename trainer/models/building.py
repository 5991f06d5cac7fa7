"""From a `model` section to a network."""

import importlib
from collections.abc import Callable
from typing import cast

from trainer.compat.keras import keras, tf
from trainer.config import user_code
from trainer.config.models import CustomModel, Model
from trainer.errors import UserError
from trainer.models.context import Context
from trainer.models.moving_statistics import equal_on_all_replicas

Builder = Callable[[Model, tf.Tensor, Context], tf.Tensor]


def find_builder(config: Model) -> Builder:
    """The builder of a section: `trainer.models.KIND.build`, or the user's own.

    Raises:
      UserError: if `model.builder` of a custom model cannot be imported.
    """
    if isinstance(config, CustomModel):
        return cast(Builder, user_code.load(config.builder, "model.builder"))
    return cast(Builder, importlib.import_module(f"trainer.models.{config.kind}").build)


def build_features(config: Model, inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Features `[B, F]` of a symbolic input `[B, ...]`.

    The task calls `moving_statistics.synchronize` after each update.

    Raises:
      UserError: if the architecture does not fit inputs of this shape.
    """
    shape = tuple(inputs.shape[1:])
    try:
        with equal_on_all_replicas():
            return find_builder(config)(config, inputs, context)
    except ValueError as error:
        if "negative" not in str(error).lower():
            raise
        raise UserError(
            f"model.kind {config.kind!r} reduces examples of shape {shape} to nothing; use a "
            "smaller kernel, less pooling or larger images"
        ) from error


def build_network(
    config: Model, input_shape: tuple[int, ...], outputs: int, context: Context
) -> keras.Model:
    """A network `[B, *input_shape] -> [B, outputs]` with a linear float32 head.

    The softmax belongs to the loss, which is numerically more stable on logits.

    Raises:
      UserError: if the architecture does not fit examples of `input_shape`.
    """
    inputs = keras.Input(input_shape)
    features = build_features(config, inputs, context)
    return keras.Model(inputs, keras.layers.Dense(outputs, dtype="float32")(features))

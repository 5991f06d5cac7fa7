"""From a `model` section to a network."""

import dataclasses
import importlib
from collections.abc import Callable
from typing import cast

from trainer.compat.keras import keras, tf
from trainer.config import user_code
from trainer.config.models import CustomModel, Model
from trainer.errors import UserError
from trainer.models.context import Context, Features, Head
from trainer.models.embeddings import embed_categories
from trainer.models.moving_statistics import equal_on_all_replicas

Builder = Callable[[Model, tf.Tensor, Context], tf.Tensor | Features]


@dataclasses.dataclass(frozen=True)
class Network:
    """A classifier's network.

    Attributes:
      model: `[B, *input_shape]` to logits `[B, outputs]`; with auxiliary classifiers to a list
        of the main and the auxiliary logits.
      auxiliary_weights: factor of each auxiliary classifier's loss.
    """

    model: keras.Model
    auxiliary_weights: tuple[float, ...]


def find_builder(config: Model) -> Builder:
    """The builder of a section: `trainer.models.KIND.build`, or the user's own.

    Raises:
      UserError: if `model.builder` of a custom model cannot be imported.
    """
    if isinstance(config, CustomModel):
        return cast(Builder, user_code.load(config.builder, "model.builder"))
    return cast(Builder, importlib.import_module(f"trainer.models.{config.kind}").build)


def build_features(config: Model, inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Features `[B, F]` of a symbolic input `[B, ...]`, without auxiliary classifiers.

    The task calls `moving_statistics.synchronize` after each update.

    Raises:
      UserError: if the architecture does not fit inputs of this shape.
    """
    return _build(config, inputs, context).main


def build_network(
    config: Model, input_shape: tuple[int, ...], outputs: int, context: Context
) -> Network:
    """A network for examples of `input_shape` with linear float32 heads.

    The softmax belongs to the loss, which is numerically more stable on logits. The names of
    layers and variables depend on the configuration only, not on networks built before.

    Raises:
      UserError: if the architecture does not fit examples of `input_shape`.
    """
    keras.backend.reset_uids()
    inputs = keras.Input(input_shape)
    features = _build(config, embed_categories(inputs, context.embeddings), context)
    logits = [
        _head(head, outputs)(each)
        for each, head in (
            (features.main, features.head),
            *((one.features, Head()) for one in features.auxiliary),
        )
    ]
    return Network(
        keras.Model(inputs, logits if features.auxiliary else logits[0]),
        tuple(one.weight for one in features.auxiliary),
    )


def _head(head: Head, outputs: int) -> keras.layers.Layer:
    return keras.layers.Dense(
        outputs, use_bias=head.use_bias, kernel_initializer=head.initializer, dtype="float32"
    )


def _build(config: Model, inputs: tf.Tensor, context: Context) -> Features:
    shape = tuple(inputs.shape[1:])
    try:
        with equal_on_all_replicas():
            built = find_builder(config)(config, inputs, context)
    except ValueError as error:
        if "negative" not in str(error).lower():
            raise
        raise UserError(
            f"model.kind {config.kind!r} reduces examples of shape {shape} to nothing; use a "
            "smaller kernel, less pooling or larger images"
        ) from error
    return built if isinstance(built, Features) else Features(built)

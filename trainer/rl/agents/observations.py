"""Networks over observations, made of the same architectures as the classifiers."""

from trainer.compat.keras import keras, tf
from trainer.config.rl import ReinforcementLearning
from trainer.errors import UserError
from trainer.models.building import build_features
from trainer.models.context import Context
from trainer.rl.agents.action_masks import without_mask
from trainer.rl.specs import EnvironmentSpec


def observation_features(
    config: ReinforcementLearning, spec: EnvironmentSpec
) -> tuple[tf.Tensor, tf.Tensor]:
    """A symbolic input of observations `[B, ...]`, and features `[B, F]` of the `model` section.

    Pixels are scaled to [0, 1]. A mask of actions is left out.

    Raises:
      UserError: if the model does not fit the observations, or has dropout.
    """
    for name in ("dropout", "stochastic_depth"):
        if rate := getattr(config.model, name, 0.0):
            raise UserError(
                f"model.{name} must be 0 in an agent's network, where it would add noise to the "
                f"targets. Received: {rate}"
            )
    inputs = keras.Input(spec.observation_shape, dtype=spec.observation_dtype)
    scale = 1 / 255 if spec.observation_dtype == tf.uint8 else 1.0
    scaled = keras.layers.Lambda(lambda x: tf.cast(without_mask(x, spec), tf.float32) * scale)(
        inputs
    )
    context = Context(config.seed, tf.Variable(0, dtype=tf.int64, trainable=False))
    return inputs, build_features(config.model, scaled, context)

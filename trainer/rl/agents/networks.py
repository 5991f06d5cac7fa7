"""Q networks, made of the same architectures as the classifiers."""

from trainer.compat.keras import keras, tf
from trainer.config.agents import DQN
from trainer.config.rl import ReinforcementLearning
from trainer.errors import UserError
from trainer.models.building import build_features
from trainer.models.context import Context
from trainer.rl.specs import EnvironmentSpec


class DuelingHead(keras.layers.Layer):
    """Q = V + A − mean A (Wang et al., 2016, equation 9).

    Maps features `[B, F]` to `[B, actions]`, or to `[B, actions, atoms]` logits, where the
    mean over actions is taken per atom.
    """

    def __init__(self, num_actions: int, num_atoms: int):
        """Creates both streams, each one affine map; 0 atoms for scalar values."""
        super().__init__(dtype="float32")
        width = max(1, num_atoms)
        self._value = keras.layers.Dense(width, dtype="float32")
        self._advantage = keras.layers.Dense(num_actions * width, dtype="float32")
        shape = (num_actions, num_atoms) if num_atoms else (num_actions,)
        self._reshape = keras.layers.Reshape(shape, dtype="float32")
        self._is_distribution = bool(num_atoms)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Q values, or logits, of features."""
        value = self._value(inputs)
        if self._is_distribution:
            value = value[:, None, :]
        advantage = self._reshape(self._advantage(inputs))
        return value + advantage - tf.reduce_mean(advantage, axis=1, keepdims=True)


def build_q_network(
    config: ReinforcementLearning, settings: DQN, spec: EnvironmentSpec, num_actions: int
) -> keras.Model:
    """A network from observations `[B, ...]` to Q values `[B, actions]` float32.

    With a categorical distribution it returns logits `[B, actions, atoms]`. Pixels are scaled
    to [0, 1].

    Raises:
      UserError: if the model does not fit the observations, or has dropout.
    """
    for name in ("dropout", "stochastic_depth"):
        if rate := getattr(config.model, name, 0.0):
            raise UserError(
                f"model.{name} must be 0 in a Q network, where it would add noise to the targets. "
                f"Received: {rate}"
            )
    inputs = keras.Input(spec.observation_shape, dtype=spec.observation_dtype)
    scale = 1 / 255 if spec.observation_dtype == tf.uint8 else 1.0
    scaled = keras.layers.Lambda(lambda x: tf.cast(x, tf.float32) * scale)(inputs)
    context = Context(config.seed, tf.Variable(0, dtype=tf.int64, trainable=False))
    features = build_features(config.model, scaled, context)
    atoms = settings.num_atoms if settings.distribution == "categorical" else 0
    if settings.dueling:
        return keras.Model(inputs, DuelingHead(num_actions, atoms)(features))
    outputs = keras.layers.Dense(num_actions * max(1, atoms), dtype="float32")(features)
    if atoms:
        outputs = keras.layers.Reshape((num_actions, atoms), dtype="float32")(outputs)
    return keras.Model(inputs, outputs)

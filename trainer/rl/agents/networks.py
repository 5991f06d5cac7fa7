"""Q networks, made of the same architectures as the classifiers."""

from trainer.compat.keras import keras, tf
from trainer.config.agents import DQN
from trainer.config.rl import ReinforcementLearning
from trainer.rl.agents.noisy import NoisyDense
from trainer.rl.agents.observations import observation_features
from trainer.rl.specs import EnvironmentSpec


class Head(keras.layers.Layer):
    """Maps features `[B, F]` to `[B, actions]`, or to `[B, actions, size]`, float32.

    A plain head is one affine map. A dueling head is Q = V + A − mean A (Wang et al., 2016,
    equation 9), where V and A are affine maps and the mean over actions is taken per output.
    """

    def __init__(self, settings: DQN, num_actions: int, size: int):
        """Declares the affine maps.

        Args:
          settings: the switches `dueling` and `noisy`.
          num_actions: number of actions.
          size: outputs per action; 0 for one without an axis of its own.
        """
        super().__init__(dtype="float32")
        self._is_noisy = settings.noisy
        self._value = _affine(max(1, size), settings) if settings.dueling else None
        self._advantage = _affine(num_actions * max(1, size), settings)
        self._shape = [num_actions, size] if size else [num_actions]
        self._is_distribution = bool(size)

    def call(self, inputs: tf.Tensor, seed: tf.Tensor | None = None) -> tf.Tensor:
        """The outputs of features.

        Args:
          inputs: `[B, F]`.
          seed: int32 `[2]` of the noise, if the head is noisy; None for the mean weights.
        """
        seeds = [None, None] if seed is None else tf.unstack(tf.random.split(seed, 2))
        advantage = self._apply(self._advantage, inputs, seeds[0])
        advantage = tf.reshape(advantage, [-1, *self._shape])
        if self._value is None:
            return advantage
        value = self._apply(self._value, inputs, seeds[1])
        if self._is_distribution:
            value = value[:, None, :]
        return value + advantage - tf.reduce_mean(advantage, axis=1, keepdims=True)

    def _apply(
        self, layer: keras.layers.Layer, inputs: tf.Tensor, seed: tf.Tensor | None
    ) -> tf.Tensor:
        return layer(inputs, seed=seed) if self._is_noisy else layer(inputs)


def _affine(units: int, settings: DQN) -> keras.layers.Layer:
    if settings.noisy:
        return NoisyDense(units, settings.noisy_sigma, dtype="float32")
    return keras.layers.Dense(units, dtype="float32")


class QNetwork(keras.Model):
    """Observations `[B, ...]` to the outputs of the head.

    Attributes:
      trunk: from observations to features.
      head: from features to outputs.
    """

    def __init__(self, trunk: keras.Model, head: Head):
        super().__init__()
        self.trunk = trunk
        self.head = head

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """See the class; `seed` int32 `[2]` is that of the head's noise, None for no noise."""
        return self.head(self.trunk(inputs, training=training), seed=seed)


def build_q_network(
    config: ReinforcementLearning, settings: DQN, spec: EnvironmentSpec, num_actions: int, size: int
) -> QNetwork:
    """A network from observations `[B, ...]` to `[B, actions]` or `[B, actions, size]` float32.

    Args:
      config: the experiment, with its model.
      settings: the agent's switches.
      spec: of the environment.
      num_actions: number of actions.
      size: outputs per action; 0 for one without an axis of its own.

    Raises:
      UserError: if the model does not fit the observations, or has dropout.
    """
    inputs, features = observation_features(config, spec)
    head = Head(settings, num_actions, size)
    # This creates its variables.
    head(features)
    return QNetwork(keras.Model(inputs, features), head)

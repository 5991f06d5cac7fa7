"""Q networks of TF-Agents, made of the same layers as the classifiers."""

from trainer.backend import keras, tf
from trainer.config.common import CNN, MLP
from trainer.config.rl import C51, Dueling, QLinear, ReinforcementLearning
from trainer.errors import UserError
from trainer.models.network import build_layers
from trainer.rl import tf_agents_door


class DuelingHead(keras.layers.Layer):
    """Q = V + A − mean A (Wang et al., 2016, equation 9): `[B, F]` to `[B, actions]`."""

    def __init__(self, actions: int):
        """Makes both streams, each one affine map."""
        super().__init__(dtype="float32")
        self._value = keras.layers.Dense(1, dtype="float32")
        self._advantage = keras.layers.Dense(actions, dtype="float32")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Q values of features."""
        advantage = self._advantage(inputs)
        return self._value(inputs) + advantage - tf.reduce_mean(advantage, -1, keepdims=True)


class QNetwork(tf_agents_door.Sequential):
    """A sequence of layers that TF-Agents takes for a (categorical) Q network.

    Attributes:
      num_atoms: support points of a categorical network; 0 for any other.
    """

    def __init__(self, layers: list[keras.layers.Layer], input_spec: tf.TensorSpec, num_atoms: int):
        """Stacks the layers; `input_spec` is of one observation."""
        super().__init__(layers, input_spec=input_spec)
        self.num_atoms = num_atoms


def build_q_network(
    config: ReinforcementLearning,
    observation_shape: tuple[int, ...],
    observation_dtype: tf.DType,
    num_actions: int,
) -> QNetwork:
    """A built network from observations to Q values `[B, actions]`.

    C51 has logits `[B, actions, atoms]` instead. Pixels are scaled to [0, 1].

    Raises:
      UserError: if the model does not fit the observations, or has dropout.
    """
    if isinstance(config.model, MLP | CNN) and config.model.dropout:
        raise UserError(
            "model.dropout must be 0 in a Q network, whose targets it would make noisy. "
            f"Received: {config.model.dropout}"
        )
    if isinstance(config.agent, QLinear) and config.model.kind != "linear":
        raise UserError(
            "agent.kind 'q_linear' takes model.kind 'linear', or take agent.kind 'dqn'. "
            f"Received: {config.model.kind!r}"
        )
    scale = 1 / 255 if observation_dtype == tf.uint8 else 1.0
    layers = [
        keras.layers.Lambda(lambda x: tf.cast(x, tf.float32) * scale),
        *build_layers(config.model, observation_shape, config.seed, tf.Variable(0, dtype=tf.int64)),
    ]
    atoms = 0
    if isinstance(config.agent, C51):
        atoms = config.agent.atoms
        layers += [
            keras.layers.Dense(num_actions * atoms, dtype="float32"),
            keras.layers.Reshape((num_actions, atoms), dtype="float32"),
        ]
    elif isinstance(config.agent, Dueling):
        layers.append(DuelingHead(num_actions))
    else:
        layers.append(keras.layers.Dense(num_actions, dtype="float32"))
    input_spec = tf.TensorSpec(observation_shape, observation_dtype)
    if observation_dtype == tf.uint8:
        # TF-Agents creates variables by calling the network on a sample of its input spec. With
        # NumPy 2 the default upper bound overflows there: it computes uint8 255 + 1.
        input_spec = tf_agents_door.BoundedTensorSpec(observation_shape, tf.uint8, 0, 1)
    network = QNetwork(layers, input_spec, atoms)
    network.create_variables()
    return network

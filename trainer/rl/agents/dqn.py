"""Q-learning agents: TF-Agents' own, with an update that XLA compiles and replicas share."""

from typing import NamedTuple

from trainer.compat import tf_agents
from trainer.compat.keras import keras, tf
from trainer.config.rl import C51, DQN, QLinear, ReinforcementLearning
from trainer.config.sections import SGD, Optimizer
from trainer.engine.distribution import Runtime
from trainer.optim import optimizers
from trainer.rl.agents.networks import build_q_network
from trainer.rl.experience.n_step import Transition

_MID = 1  # TF-Agents' StepType.MID


class Loss(NamedTuple):
    """Losses and temporal difference errors of a batch, float32 `[B]`, before weighting."""

    loss: tf.Tensor
    td_error: tf.Tensor


class QAgent(tf.Module):
    """An agent with its networks, optimizer and update.

    Attributes:
      tf_agent: TF-Agents' agent: its policies act with the very network trained here.
      learning_rate: the schedule, whose scale is part of the state.
      optimizer: counts the updates.
    """

    def __init__(
        self,
        config: ReinforcementLearning,
        observation_shape: tuple[int, ...],
        observation_dtype: tf.DType,
        num_actions: int,
        total_updates: int,
    ):
        """Builds everything in the strategy scope that is in force."""
        super().__init__()
        keras.utils.set_random_seed(config.seed)
        agent, section = config.agent, _optimizer(config)
        arguments = (config, observation_shape, observation_dtype, num_actions)
        self._network = build_q_network(*arguments)
        self._target_network = build_q_network(*arguments)
        for target, source in zip(
            self._target_network.variables, self._network.variables, strict=True
        ):
            target.assign(source)
        self._num_actions = num_actions
        self._discount = agent.discount
        self._clip_norm = section.clip_norm
        self._is_categorical = isinstance(agent, C51)
        # The document's rule has no second network: here it is a copy after every update.
        self._period = 1 if isinstance(agent, QLinear) else agent.target_update_period
        self._tau = 1.0 if isinstance(agent, QLinear) else agent.target_update_tau
        self.learning_rate = optimizers.LearningRate(section, total_updates)
        self.optimizer = optimizers.build_optimizer(section, self.learning_rate)
        self.optimizer.build(self._network.trainable_variables)
        self.tf_agent = self._build_tf_agent(config, observation_shape, observation_dtype)

    def _build_tf_agent(
        self,
        config: ReinforcementLearning,
        observation_shape: tuple[int, ...],
        observation_dtype: tf.DType,
    ) -> tf_agents.TFAgent:
        agent = config.agent
        specs = (
            tf_agents.time_step_spec(
                tf.TensorSpec(observation_shape, observation_dtype, "observation")
            ),
            tf_agents.BoundedTensorSpec((), tf.int32, 0, self._num_actions - 1, "action"),
        )
        # The discount lies in the transitions, where n-step returns need it.
        options = {"optimizer": self.optimizer, "gamma": 1.0}
        if isinstance(agent, C51):
            made = tf_agents.CategoricalDqnAgent(
                *specs,
                categorical_q_network=self._network,
                target_categorical_q_network=self._target_network,
                min_q_value=agent.v_min,
                max_q_value=agent.v_max,
                **options,
            )
            self._support = tf.linspace(agent.v_min, agent.v_max, agent.atoms)
        else:
            kind = tf_agents.DqnAgent
            if not isinstance(agent, DQN | QLinear):
                kind = tf_agents.DdqnAgent
            made = kind(
                *specs,
                q_network=self._network,
                target_q_network=self._target_network,
                td_errors_loss_fn=_half_squared if _is_squared(agent) else _huber,
                **options,
            )
        made.initialize()
        return made

    @property
    def trainable(self) -> list[tf.Variable]:
        """What an update moves."""
        return list(self._network.trainable_variables)

    def q_values(self, observation: tf.Tensor) -> tf.Tensor:
        """Expected returns, float32 `[B, actions]`."""
        output, _ = self._network(observation, step_type=())
        if self._is_categorical:
            return tf.reduce_sum(tf.nn.softmax(output) * self._support, axis=-1)
        return output

    def greedy(self, observation: tf.Tensor) -> tf.Tensor:
        """Actions int32 `[B]` of the largest Q.

        Among equal Q values the first is taken, as TF-Agents' greedy policy does.
        """
        return tf.argmax(self.q_values(observation), axis=-1, output_type=tf.int32)

    def loss(self, transitions: Transition) -> Loss:
        """Losses of a batch of transitions, fields `[B, ...]`."""
        if self._is_categorical:
            return self._categorical_loss(transitions)
        info = self.tf_agent._loss(  # the one door to TF-Agents' loss without its update
            _as_tf_agents(transitions), weights=tf.ones_like(transitions.reward), training=True
        )
        return Loss(info.extra.td_loss, info.extra.td_error)

    def _categorical_loss(self, transitions: Transition) -> Loss:
        """Cross-entropy to the projected target (Bellemare et al., 2017, algorithm 1).

        Not TF-Agents' own, which ignores importance weights. The loss stands in for the
        temporal difference error in priorities.
        """
        atoms = self._support.shape[0]
        following, _ = self._target_network(transitions.next_observation, step_type=())
        probabilities = tf.nn.softmax(following)
        best = tf.argmax(tf.reduce_sum(probabilities * self._support, -1), -1, tf.int32)
        probabilities = tf.gather(probabilities, best, axis=1, batch_dims=1)
        moved = transitions.reward[:, None] + transitions.discount[:, None] * self._support
        moved = tf.clip_by_value(moved, self._support[0], self._support[-1])
        step = (self._support[-1] - self._support[0]) / (atoms - 1)
        # A point shares its mass between the two support points beside it, by nearness.
        nearness = 1 - tf.abs(moved[:, None, :] - self._support[None, :, None]) / step
        target = tf.reduce_sum(tf.maximum(nearness, 0.0) * probabilities[:, None, :], axis=-1)
        logits, _ = self._network(transitions.observation, step_type=(), training=True)
        logits = tf.gather(logits, transitions.action, axis=1, batch_dims=1)
        loss = tf.nn.softmax_cross_entropy_with_logits(tf.stop_gradient(target), logits)
        return Loss(loss, loss)

    def gradients(
        self, transitions: Transition, weights: tf.Tensor, global_batch_size: int
    ) -> tuple[list[tf.Tensor], Loss]:
        """Gradients of this replica's part of the weighted global mean loss."""
        with tf.GradientTape() as tape:
            losses = self.loss(transitions)
            loss = tf.reduce_sum(losses.loss * weights) / global_batch_size
        return tape.gradient(loss, self.trainable), losses

    def apply(self, gradients: list[tf.Tensor]) -> None:
        """Updates the network, and the target network when it is due."""
        optimizers.apply_gradients(self.optimizer, gradients, self.trainable, self._clip_norm)
        due = self.optimizer.iterations % self._period == 0
        rate = tf.where(due, self._tau, 0.0)
        for target, source in zip(
            self._target_network.variables, self._network.variables, strict=True
        ):
            target.assign(target + rate * (source - target))


def compiles(config: ReinforcementLearning, runtime: Runtime) -> bool:
    """Whether XLA compiles acting and learning.

    A network of dense layers is fastest compiled; convolutions are not, on a CPU.
    """
    return runtime.compiles(default_on_cpu=config.model.kind in ("linear", "mlp"))


def _optimizer(config: ReinforcementLearning) -> Optimizer:
    """The `optimizer` section; the founding document's rule is plain gradient descent."""
    if isinstance(config.agent, QLinear):
        return SGD(learning_rate=config.agent.alpha)
    return config.optimizer


def _is_squared(agent: object) -> bool:
    return isinstance(agent, QLinear) or getattr(agent, "loss", "") == "squared"


def _half_squared(target: tf.Tensor, prediction: tf.Tensor) -> tf.Tensor:
    return 0.5 * tf.square(target - prediction)


def _huber(target: tf.Tensor, prediction: tf.Tensor) -> tf.Tensor:
    error = tf.abs(target - prediction)
    return tf.where(error <= 1.0, 0.5 * tf.square(error), error - 0.5)


def _as_tf_agents(transitions: Transition) -> tf_agents.Transition:
    size = tf.shape(transitions.reward)
    middle = tf.fill(size, _MID)
    return tf_agents.Transition(
        time_step=tf_agents.TimeStep(
            middle, tf.zeros(size), tf.ones(size), transitions.observation
        ),
        action_step=tf_agents.PolicyStep(transitions.action, (), ()),
        next_time_step=tf_agents.TimeStep(
            middle, transitions.reward, transitions.discount, transitions.next_observation
        ),
    )

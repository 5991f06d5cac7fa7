"""`dqn`: DQN (Mnih et al., 2015) with its extensions as independent switches.

| switch | source |
|---|---|
| `double` | van Hasselt et al. (2016) |
| `dueling` | Wang et al. (2016) |
| `distribution=categorical` | Bellemare et al. (2017), C51 |
| `n_step` | Sutton and Barto (2018), section 7.1 |
| `replay.kind=prioritized` | Schaul et al. (2016) |
"""

from collections.abc import Mapping
from typing import Any

from trainer.compat.keras import keras, tf
from trainer.config.agents import DQN
from trainer.config.rl import ReinforcementLearning
from trainer.errors import UserError
from trainer.rl.agents import q_learning
from trainer.rl.agents.base import Agent, AgentLoss, TargetNetwork
from trainer.rl.agents.exploration import NO_ACTION, ExplorationCarry, epsilon, explore
from trainer.rl.agents.networks import build_q_network
from trainer.rl.experience.steps import Transition
from trainer.rl.specs import Discrete, EnvironmentSpec

_LOSSES = {"huber": q_learning.huber, "squared": q_learning.half_squared}


class DQNAgent(Agent):
    """Epsilon-greedy play and a loss towards a target network.

    Subclass it to change the rule: `td_target` returns the target of the default loss.
    """

    figures = ("q_mean", "td_error")

    def __init__(
        self,
        config: ReinforcementLearning,
        spec: EnvironmentSpec,
        settings: DQN | None = None,
    ):
        """Creates the online and the target network.

        Args:
          config: the experiment.
          spec: of the environment.
          settings: the switches; by default the experiment's `agent` section.

        Raises:
          UserError: if the actions are continuous, or the model does not fit.
        """
        super().__init__()
        settings = settings or config.agent  # type: ignore[assignment]
        assert isinstance(settings, DQN)
        if not isinstance(spec.action, Discrete):
            raise UserError(
                f"agent.kind {config.agent.kind!r} needs a discrete action space; "
                f"{config.environment.name!r} has continuous actions"
            )
        keras.utils.set_random_seed(config.seed)
        self.discount = settings.discount
        self.n_step = settings.n_step
        self._settings = settings
        self._spec = spec
        self._num_envs = config.train.num_envs
        self._num_actions = spec.action.n
        self._loss = _LOSSES[settings.loss]
        self._network = build_q_network(config, settings, spec, self._num_actions)
        self._target_network = build_q_network(config, settings, spec, self._num_actions)
        self.target = TargetNetwork(
            self._target_network.variables,
            self._network.variables,
            settings.target_update_period,
            settings.target_update_tau,
        )
        for target, online in zip(self.target.targets, self.target.online, strict=True):
            target.assign(online)
        self._is_categorical = settings.distribution == "categorical"
        if self._is_categorical:
            self._support = tf.linspace(settings.v_min, settings.v_max, settings.num_atoms)

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        """See the base class."""
        return list(self._network.trainable_variables)

    @property
    def extra_losses(self) -> list[tf.Tensor]:
        """See the base class."""
        return list(self._network.losses)

    def initial_carry(self, batch_size: int) -> ExplorationCarry:
        """See the base class."""
        return ExplorationCarry(tf.fill([batch_size], NO_ACTION), tf.constant(0, tf.int64))

    def act(
        self, observation: tf.Tensor, carry: ExplorationCarry, seed: tf.Tensor, explore: bool
    ) -> tuple[tf.Tensor, ExplorationCarry, Any]:
        """Epsilon-greedy actions int32 `[B]`; see the base class."""
        greedy = tf.argmax(self.q_values(observation), axis=-1, output_type=tf.int32)
        if not explore:
            return greedy, carry, ()
        return self._explore(greedy, carry, seed)

    def _explore(
        self, greedy: tf.Tensor, carry: ExplorationCarry, seed: tf.Tensor
    ) -> tuple[tf.Tensor, ExplorationCarry, Any]:
        settings = self._settings.exploration
        action, held = explore(
            greedy,
            carry.held,
            epsilon(settings, carry.steps),
            settings.epsilon_duration,
            self._num_actions,
            seed,
        )
        return action, ExplorationCarry(held, carry.steps + self._num_envs), ()

    def exploration_figures(self, carry: ExplorationCarry) -> Mapping[str, tf.Tensor]:
        """See the base class."""
        return {"epsilon": epsilon(self._settings.exploration, carry.steps)}

    def q_values(self, observation: tf.Tensor) -> tf.Tensor:
        """Expected returns Q(s, a), float32 `[B, actions]`."""
        return self._expectation(self._network(observation))

    def target_q_values(self, observation: tf.Tensor) -> tf.Tensor:
        """Q(s, a) of the target network, float32 `[B, actions]`."""
        return self._expectation(self._target_network(observation))

    def value(self, observation: tf.Tensor) -> tf.Tensor:
        """max_a Q(s, a), `[B]`."""
        return tf.reduce_max(self.q_values(observation), axis=-1)

    def td_target(self, batch: Transition) -> tf.Tensor:
        """The target of Q(o_tm1, a_tm1), float32 `[B]`."""
        q_t_target = self.target_q_values(batch.next_observation)
        q_t_selector = q_t_target
        if self._settings.double:
            q_t_selector = self.q_values(batch.next_observation)
        q_t = q_learning.bootstrap_value(q_t_target, q_t_selector)
        return q_learning.td_target(batch.reward, batch.discount, q_t)

    def loss(self, batch: Transition) -> AgentLoss:
        """See the base class."""
        if self._is_categorical:
            return self._categorical_loss(batch)
        q_tm1 = self._network(batch.observation, training=True)
        qa_tm1 = q_learning.take_action(q_tm1, batch.action)
        td_error = tf.stop_gradient(self.td_target(batch)) - qa_tm1
        figures = {"q_mean": qa_tm1, "td_error": tf.abs(td_error)}
        return AgentLoss(self._loss(td_error), tf.abs(td_error), figures)

    def _categorical_loss(self, batch: Transition) -> AgentLoss:
        """Cross-entropy to the projected target distribution; it is the priority as well."""
        logits_t = self._target_network(batch.next_observation)
        selector = self._network(batch.next_observation) if self._settings.double else logits_t
        a_t = tf.argmax(self._expectation(selector), axis=-1, output_type=tf.int32)
        p_t = q_learning.take_action(tf.nn.softmax(logits_t), a_t)
        target = q_learning.project_distribution(self._support, p_t, batch.reward, batch.discount)
        logits_tm1 = self._network(batch.observation, training=True)
        logits_a_tm1 = q_learning.take_action(logits_tm1, batch.action)
        loss = tf.nn.softmax_cross_entropy_with_logits(tf.stop_gradient(target), logits_a_tm1)
        qa_tm1 = self._expectation(logits_a_tm1)
        td_error = tf.abs(tf.reduce_sum(target * self._support, axis=-1) - qa_tm1)
        return AgentLoss(loss, loss, {"q_mean": qa_tm1, "td_error": td_error})

    def _expectation(self, output: tf.Tensor) -> tf.Tensor:
        """Q values of the network's output: the mean of the distribution, if it is one."""
        if self._is_categorical:
            return tf.reduce_sum(tf.nn.softmax(output) * self._support, axis=-1)
        return output

    def policy(self) -> Any:
        """See the base class."""
        from trainer.compat import tf_agents

        return tf_agents.greedy_q_policy(
            self._network,
            tf.TensorSpec(
                self._spec.observation_shape, self._spec.observation_dtype, "observation"
            ),
            self._num_actions,
            self._support if self._is_categorical else None,
        )


build = DQNAgent

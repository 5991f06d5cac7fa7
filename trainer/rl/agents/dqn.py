"""`dqn`: DQN (Mnih et al., 2015) with its extensions as independent switches.

| switch | source |
|---|---|
| `double` | van Hasselt et al. (2016) |
| `dueling` | Wang et al. (2016) |
| `distribution=categorical` | Bellemare et al. (2017), C51 |
| `distribution=quantile` | Dabney et al. (2018), QR-DQN |
| `noisy` | Fortunato et al. (2018) |
| `munchausen` | Vieillard et al. (2020) |
| `n_step` | Sutton and Barto (2018), section 7.1 |
| `replay.kind=prioritized` | Schaul et al. (2016) |

Together, without `munchausen`, they are Rainbow (Hessel et al., 2018).

Munchausen adds its bonus to the reward of a transition. Of an n-step transition that is the bonus
of the first action, and the entropy is that of the policy n steps later, as in the authors' code.
The policy pi at the next state replaces the greedy action: the target averages over it the Q
values, the quantiles (as the authors' M-IQN), or the probabilities, which is then the mixture of
the actions' distributions. With `double` it is the policy of the online network.
"""

from collections.abc import Mapping
from typing import Any

from trainer.compat.keras import keras, tf
from trainer.config.agents import DQN
from trainer.config.rl import ReinforcementLearning
from trainer.errors import UserError
from trainer.rl.agents import q_learning
from trainer.rl.agents.action_masks import lower_invalid, valid_actions
from trainer.rl.agents.base import Agent, AgentLoss, TargetNetwork
from trainer.rl.agents.distributional import make_returns
from trainer.rl.agents.exploration import NO_ACTION, ExplorationCarry, epsilon, explore
from trainer.rl.agents.networks import QNetwork, build_q_network
from trainer.rl.experience.steps import Transition
from trainer.rl.specs import Discrete, EnvironmentSpec


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
        self._returns = make_returns(settings)
        self._network, self._target_network = (
            build_q_network(config, settings, spec, self._num_actions, self._returns.size)
            for _ in range(2)
        )
        self.target = TargetNetwork(
            self._target_network.variables,
            self._network.variables,
            settings.target_update_period,
            settings.target_update_tau,
        )
        for target, online in zip(self.target.targets, self.target.online, strict=True):
            target.assign(online)

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
        """Epsilon-greedy actions int32 `[B]`, of noisy Q values if `noisy`; see the base class."""
        if explore and self._settings.noisy:
            noise_seed, seed = tf.unstack(tf.random.split(seed, 2))
            q = self._returns.mean(self._values(self._network, observation, noise_seed))
        else:
            q = self.q_values(observation)
        q = lower_invalid(q, observation, self._spec)
        greedy = tf.argmax(q, axis=-1, output_type=tf.int32)
        if not explore:
            return greedy, carry, ()
        return self._explore(greedy, carry, seed, valid_actions(observation, self._spec))

    def _explore(
        self,
        greedy: tf.Tensor,
        carry: ExplorationCarry,
        seed: tf.Tensor,
        valid: tf.Tensor | None,
    ) -> tuple[tf.Tensor, ExplorationCarry, Any]:
        settings = self._settings.exploration
        action, held = explore(
            greedy,
            carry.held,
            epsilon(settings, carry.steps),
            settings.epsilon_duration,
            self._num_actions,
            seed,
            valid,
        )
        return action, ExplorationCarry(held, carry.steps + self._num_envs), ()

    def exploration_figures(self, carry: ExplorationCarry) -> Mapping[str, tf.Tensor]:
        """See the base class."""
        return {"epsilon": epsilon(self._settings.exploration, carry.steps)}

    def q_values(self, observation: tf.Tensor) -> tf.Tensor:
        """Expected returns Q(s, a), float32 `[B, actions]`, without noise."""
        return self._returns.mean(self._values(self._network, observation))

    def target_q_values(self, observation: tf.Tensor) -> tf.Tensor:
        """Q(s, a) of the target network, float32 `[B, actions]`, without noise."""
        return self._returns.mean(self._values(self._target_network, observation))

    def value(self, observation: tf.Tensor) -> tf.Tensor:
        """max_a Q(s, a) over the valid actions, `[B]`."""
        q = lower_invalid(self.q_values(observation), observation, self._spec)
        return tf.reduce_max(q, axis=-1)

    def _values(
        self, network: QNetwork, observation: tf.Tensor, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Q values `[B, actions]`, or the values of their distributions `[B, actions, size]`."""
        return self._returns.values(network(observation, seed=seed))

    def td_target(self, batch: Transition, seed: tf.Tensor) -> tf.Tensor:
        """The target of Q(o_tm1, a_tm1), float32 `[B]`, or `[B, size]` for a distribution.

        Args:
          batch: fields `[B, ...]`.
          seed: int32 `[2]` of the noise.
        """
        settings, returns = self._settings, self._returns
        t_seed, selector_seed, tm1_seed = tf.unstack(tf.random.split(seed, 3))
        values_t = self._values(self._target_network, batch.next_observation, t_seed)
        selector = values_t
        if settings.double:
            selector = self._values(self._network, batch.next_observation, selector_seed)
        q_selector = lower_invalid(returns.mean(selector), batch.next_observation, self._spec)
        if not settings.munchausen:
            greedy = q_learning.take_greedy(values_t, q_selector)
            return returns.td_target(batch.reward, batch.discount, greedy)
        temperature = settings.munchausen_temperature
        q_tm1 = returns.mean(self._values(self._target_network, batch.observation, tm1_seed))
        q_tm1 = lower_invalid(q_tm1, batch.observation, self._spec)
        bonus = q_learning.munchausen_bonus(
            q_tm1, batch.action, settings.munchausen_alpha, temperature, settings.munchausen_clip
        )
        policy = q_learning.soft_policy(q_selector, temperature)
        log_policy = q_learning.scaled_log_policy(q_selector, temperature)
        entropy = -q_learning.average(log_policy, policy)
        return returns.td_target(
            batch.reward + bonus + batch.discount * entropy,
            batch.discount,
            q_learning.average(values_t, policy),
        )

    def loss(self, batch: Transition, seed: tf.Tensor) -> AgentLoss:
        """See the base class; the priority is the TD error, or the loss of a distribution."""
        returns = self._returns
        online_seed, target_seed = tf.unstack(tf.random.split(seed, 2))
        outputs = self._network(batch.observation, training=True, seed=online_seed)
        output = q_learning.take_action(outputs, batch.action)
        target = tf.stop_gradient(self.td_target(batch, target_seed))
        loss = returns.loss(output, target)
        qa_tm1 = returns.mean(returns.values(output))
        td_error = tf.abs(returns.mean(target) - qa_tm1)
        priorities = loss if returns.size else td_error
        return AgentLoss(loss, priorities, {"q_mean": qa_tm1, "td_error": td_error})

    def policy(self) -> Any:
        """See the base class."""
        from trainer.compat import tf_agents

        shape, dtype = self._spec.observation_shape, self._spec.observation_dtype
        inputs = keras.Input(shape, dtype=dtype)
        mean = keras.layers.Lambda(lambda output: self._returns.mean(self._returns.values(output)))
        valid = keras.layers.Lambda(lambda each: lower_invalid(each[0], each[1], self._spec))
        return tf_agents.greedy_q_policy(
            keras.Model(inputs, valid([mean(self._network(inputs)), inputs])),
            tf.TensorSpec(shape, dtype, "observation"),
            self._num_actions,
        )


build = DQNAgent

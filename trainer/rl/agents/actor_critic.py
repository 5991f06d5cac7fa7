"""The base of `ppo` and `reinforce`: a policy and its values, learned from each rollout."""

import abc
import math
from typing import Any, NamedTuple

from trainer.compat.keras import keras, tf
from trainer.config.agents import ActorCritic as ActorCriticConfig
from trainer.config.rl import ReinforcementLearning
from trainer.rl.agents.action_distributions import (
    ActionDistribution,
    Categorical,
    DiagonalGaussian,
    squash,
)
from trainer.rl.agents.action_masks import lower_invalid
from trainer.rl.agents.base import Agent
from trainer.rl.agents.observations import observation_features
from trainer.rl.agents.running_moments import RunningMoments
from trainer.rl.experience.steps import Steps
from trainer.rl.specs import Discrete, EnvironmentSpec

# Normalized observations and rewards are clipped to ± this.
_LARGEST_NORMALIZED = 10.0


class Rollout(NamedTuple):
    """What an on-policy loss takes; fields `[B, ...]`, or `[T, B, ...]` of a whole rollout.

    Attributes:
      observation: as collected.
      latent: the action as the policy drew it, before it was squashed.
      log_pi_old_a: its log probability when it was drawn.
      v_old: the value of the observation then.
      advantage: of the action.
      return_: the target of the value.
    """

    observation: tf.Tensor
    latent: tf.Tensor
    log_pi_old_a: tf.Tensor
    v_old: tf.Tensor
    advantage: tf.Tensor
    return_: tf.Tensor


class ActorCriticAgent(Agent):
    """A stochastic policy π(a|s) and a value function V(s).

    Attributes:
      epochs: passes over each rollout.
      target_kl: the mean KL divergence of an epoch after which no other follows; 0: no bound.
    """

    epochs: int = 1
    target_kl: float = 0.0

    def __init__(
        self, config: ReinforcementLearning, spec: EnvironmentSpec, has_values: bool = True
    ):
        """Creates the networks.

        Args:
          config: the experiment.
          spec: of the environment.
          has_values: whether there is a value function; otherwise all values are 0.

        Raises:
          UserError: if the model does not fit the observations.
        """
        super().__init__()
        assert isinstance(config.agent, ActorCriticConfig)
        keras.utils.set_random_seed(config.seed)
        self._settings = settings = config.agent
        self._spec = spec
        self.discount = settings.discount
        self._box = None if isinstance(spec.action, Discrete) else spec.action
        outputs = spec.action.n if isinstance(spec.action, Discrete) else len(spec.action.low)
        inputs, features = observation_features(config, spec)
        head = keras.layers.Dense(outputs, dtype="float32", name="policy_head")
        self._policy_network = keras.Model(inputs, head(features))
        self._value_network: keras.Model | None = None
        if has_values:
            if not settings.shared_network:
                inputs, features = observation_features(config, spec)
            head = keras.layers.Dense(1, dtype="float32", name="value_head")
            self._value_network = keras.Model(inputs, head(features))
        if settings.orthogonal_initialization:
            if self._value_network:
                _initialize(self._value_network, config.seed + 1, head_gain=1.0)
            _initialize(self._policy_network, config.seed, head_gain=0.01)
        if self._box:
            self._log_std = tf.Variable(tf.fill([outputs], settings.log_std_initial))
        if settings.normalize_observations:
            self._observations = RunningMoments(spec.observation_shape)
        if settings.normalize_rewards:
            self._returns = RunningMoments(())

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        """See the base class."""
        variables = [*self._policy_network.trainable_variables]
        if self._box:
            variables.append(self._log_std)
        if self._value_network:
            shared = {variable.ref() for variable in variables}
            own = self._value_network.trainable_variables
            variables += [each for each in own if each.ref() not in shared]
        return variables

    @property
    def extra_losses(self) -> list[tf.Tensor]:
        """See the base class."""
        of_values = self._value_network.losses if self._value_network else []
        return [*self._policy_network.losses, *of_values]

    def initial_carry(self, batch_size: int) -> Any:
        """See the base class."""
        del batch_size
        return ()

    def act(
        self, observation: tf.Tensor, carry: Any, seed: tf.Tensor, explore: bool
    ) -> tuple[tf.Tensor, Any, Any]:
        """A sample of the policy, or its mode; the extras are the latent action."""
        distribution = self.distribution(observation)
        latent = distribution.sample(seed) if explore else distribution.mode()
        action = squash(latent, self._box) if self._box else latent
        return action, carry, latent if explore else ()

    def distribution(self, observation: tf.Tensor) -> ActionDistribution:
        """π(·|s) of observations `[B, ...]`."""
        output = self._policy_network(self._normalized(observation))
        if self._box:
            return DiagonalGaussian(output, self._log_std)
        return Categorical(lower_invalid(output, observation, self._spec))

    def value(self, observation: tf.Tensor) -> tf.Tensor:
        """V(s), float32 `[B]`, in units of unchanged rewards; 0 without a value function."""
        value = self.scaled_value(observation)
        return value * self._returns.standard_deviation() if self.normalizes_rewards else value

    def scaled_value(self, observation: tf.Tensor) -> tf.Tensor:
        """V(s), float32 `[B]`, of the rewards that the agent learns from."""
        if self._value_network is None:
            return tf.zeros([observation.shape[0]])
        return tf.squeeze(self._value_network(self._normalized(observation)), axis=-1)

    @abc.abstractmethod
    def rollout(self, steps: Steps) -> tuple[Rollout, tf.Tensor]:
        """What the loss needs of steps `[T, B, ...]`; call it in a replica context.

        Returns:
          The rollout, fields `[T, B, ...]`, and float32 `[T, B]`: 0 for steps to leave out, else 1.
        """

    def old_policy(self, steps: Steps) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Log π(a|s), V(s) and V(s') of steps `[T, B, ...]`, each `[T, B]`."""
        flat = tf.nest.map_structure(flatten_time, steps)
        shape = steps.reward.shape
        log_pi_a = self.distribution(flat.observation).log_prob(flat.extras)
        values = (self.scaled_value(flat.observation), self.scaled_value(flat.next_observation))
        log_pi_a, v_tm1, v_t = (tf.reshape(each, shape) for each in (log_pi_a, *values))
        return log_pi_a, v_tm1, v_t

    @property
    def normalizes_rewards(self) -> bool:
        """Whether rewards are divided by the standard deviation of discounted returns."""
        return self._settings.normalize_rewards

    def normalized_rewards(self, reward: tf.Tensor, running_return: tf.Tensor) -> tf.Tensor:
        """Rewards in units of the standard deviation of running returns, which are added first.

        Args:
          reward: `[T, B]`.
          running_return: `[T, B]`, from `advantages.running_returns`.
        """
        self._returns.update(flatten_time(running_return))
        scaled = reward / self._returns.standard_deviation()
        return tf.clip_by_value(scaled, -_LARGEST_NORMALIZED, _LARGEST_NORMALIZED)

    def after_rollout(self, steps: Steps) -> None:
        """Adds the observations to their moments; call it after the updates of a rollout.

        The probabilities of a rollout's actions are then those that they were drawn with.
        """
        if self._settings.normalize_observations:
            self._observations.update(flatten_time(steps.observation))

    def _normalized(self, observation: tf.Tensor) -> tf.Tensor:
        if not self._settings.normalize_observations:
            return observation
        moments = self._observations
        scaled = (observation - moments.mean) / moments.standard_deviation()
        return tf.clip_by_value(scaled, -_LARGEST_NORMALIZED, _LARGEST_NORMALIZED)

    def policy(self) -> Any:
        """The policy's mode; see the base class."""
        from trainer.compat import tf_agents

        observation = tf.TensorSpec(
            self._spec.observation_shape, self._spec.observation_dtype, "observation"
        )
        if self._box is None:
            network = _Exported(self, lambda agent, o: agent.distribution(o).logits)
            assert isinstance(self._spec.action, Discrete)
            return tf_agents.greedy_q_policy(network, observation, self._spec.action.n)
        network = _Exported(self, lambda agent, o: squash(agent.distribution(o).mean, agent._box))
        return tf_agents.actor_policy(network, observation, self._box.low, self._box.high)


class _Exported(keras.layers.Layer):
    """A function of an agent and observations as a layer, with the agent's variables."""

    def __init__(self, agent: ActorCriticAgent, function: Any):
        super().__init__(dtype="float32", autocast=False)
        self._agent = agent
        self._function = function

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The function's value."""
        return self._function(self._agent, inputs)


def flatten_time(field: tf.Tensor) -> tf.Tensor:
    """`[T, B, ...]` as `[T * B, ...]`."""
    return tf.reshape(field, [-1, *field.shape[2:]])


def _initialize(network: keras.Model, seed: int, head_gain: float) -> None:
    """Orthogonal kernels with gain √2, and that of the head with its own; biases are 0.

    Source: Andrychowicz et al. (2021), sections 3.2 and 3.4, for the small head of the policy.
    """
    kernels = [each for each in network.trainable_variables if each.shape.rank >= 2]
    for number, kernel in enumerate(kernels):
        gain = head_gain if kernel is kernels[-1] else math.sqrt(2)
        initializer = keras.initializers.Orthogonal(gain, seed=seed * 1000 + number)
        kernel.assign(initializer(kernel.shape))

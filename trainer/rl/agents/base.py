"""The interface of agents, and how one is found by `agent.kind`."""

import abc
import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from trainer.compat.keras import tf
from trainer.config import user_code
from trainer.config.agents import CustomAgent
from trainer.config.optimizers import Optimizer
from trainer.config.rl import ReinforcementLearning
from trainer.rl.specs import EnvironmentSpec

# What a policy remembers between two steps: a nest of tensors.
Carry = Any


class AgentLoss(NamedTuple):
    """The loss of a batch.

    Attributes:
      per_example: float32 `[B]`, before importance weights.
      priorities: float32 `[B]`, for prioritized replay.
      figures: float32 `[B]` each, whose means are reported under their names.
    """

    per_example: tf.Tensor
    priorities: tf.Tensor
    figures: Mapping[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class TargetNetwork:
    """A network that follows the trained one (Mnih et al., 2015; Lillicrap et al., 2016).

    Attributes:
      targets: its variables.
      online: the variables that they follow, in the same order.
      period: updates between two moves.
      tau: the part of the online network that is mixed in; 1 copies it.
    """

    targets: list[tf.Variable]
    online: list[tf.Variable]
    period: int
    tau: float

    def rate(self, updates: tf.Tensor) -> tf.Tensor:
        """What is mixed in after `updates` updates, scalar float32: tau where it is due, else 0."""
        return tf.where(updates % self.period == 0, self.tau, 0.0)

    def move(self, updates: tf.Tensor) -> None:
        """Moves the variables after update number `updates`, if it is due."""
        rate = self.rate(updates)
        for target, online in zip(self.targets, self.online, strict=True):
            target.assign(mix(target, online, rate))


def mix(target: tf.Tensor, online: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
    """(1 - rate) target + rate online; in this form a rate of 1 is an exact copy."""
    return (1.0 - rate) * target + rate * online


class Agent(tf.Module, abc.ABC):
    """A policy and the loss that trains it.

    The constructor takes the configuration and the environment's spec, and creates all
    variables in the strategy scope in force.

    Attributes:
      discount: gamma, for the discount of each step.
      n_step: rewards summed per transition.
      figures: names of `AgentLoss.figures`.
      target: the target network; None if there is none.
    """

    discount: float
    n_step: int = 1
    figures: tuple[str, ...] = ()
    target: TargetNetwork | None = None

    @property
    @abc.abstractmethod
    def trainable_variables(self) -> list[tf.Variable]:
        """What an update changes."""

    @property
    def extra_losses(self) -> list[tf.Tensor]:
        """Losses that layers added in the last call, such as regularizers."""
        return []

    @abc.abstractmethod
    def initial_carry(self, batch_size: int) -> Carry:
        """What `act` receives at the first step of `batch_size` environments."""

    @abc.abstractmethod
    def act(
        self, observation: tf.Tensor, carry: Carry, seed: tf.Tensor, explore: bool
    ) -> tuple[tf.Tensor, Carry, Any]:
        """Selects an action per environment.

        Args:
          observation: `[B, ...]`.
          carry: from `initial_carry` or the previous call.
          seed: int32 `[2]`.
          explore: whether to explore; otherwise the greedy action is taken.

        Returns:
          The action `[B]`, the next carry, and extras for the loss (`()` if none).
        """

    @abc.abstractmethod
    def value(self, observation: tf.Tensor) -> tf.Tensor:
        """The expected discounted return of greedy play, float32 `[B]`."""

    @abc.abstractmethod
    def loss(self, batch: Any, seed: tf.Tensor) -> AgentLoss:
        """The loss of a batch.

        Args:
          batch: fields `[B, ...]`; a `Transition`, or of an agent that learns from rollouts a
            `Rollout`.
          seed: int32 `[2]`, for noise in the loss.
        """

    def after_update(self, updates: tf.Tensor) -> None:
        """Called after each update; `updates` is their number so far, int64.

        An agent that overrides this is updated on variables, not in one compiled loop.
        """
        if self.target:
            self.target.move(updates)

    def exploration_figures(self, carry: Carry) -> Mapping[str, tf.Tensor]:
        """Scalars that describe the state of exploration, by name, for reports."""
        del carry
        return {}

    def policy(self) -> Any:
        """The greedy policy as a TF-Agents `TFPolicy`, which `PolicySaver` exports."""
        raise NotImplementedError(f"{type(self).__name__} has no TF-Agents policy")


def optimizer_section(config: ReinforcementLearning) -> Optimizer:
    """The optimizer of an agent: its own, if its module defines one, else the experiment's."""
    own = getattr(_module(config), "optimizer_section", None)
    return own(config) if own else config.optimizer


def build(config: ReinforcementLearning, spec: EnvironmentSpec) -> Agent:
    """The agent of a configuration: `trainer.rl.agents.KIND.build`, or the user's own.

    Raises:
      UserError: if it does not fit the environment, or cannot be imported.
    """
    if isinstance(config.agent, CustomAgent):
        builder = user_code.load(config.agent.builder, "agent.builder")
    else:
        builder = _module(config).build
    return cast(Callable[[ReinforcementLearning, EnvironmentSpec], Agent], builder)(config, spec)


def _module(config: ReinforcementLearning) -> Any:
    # A custom agent has DQN's settings, and DQN's optimizer.
    kind = "dqn" if isinstance(config.agent, CustomAgent) else config.agent.kind
    return importlib.import_module(f"trainer.rl.agents.{kind}")

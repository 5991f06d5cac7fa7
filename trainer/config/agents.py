"""The `agent` section: the algorithm with its exploration and experience."""

import dataclasses

from trainer.config.fields import ConfigBase, field
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class UniformReplay(ConfigBase):
    """A ring buffer of transitions, sampled uniformly."""

    kind: str = field("uniform", "Replay.", choices=("uniform",))
    capacity: int = field(
        100_000, "Maximum number of stored transitions, over all replicas.", minimum=1
    )
    min_size: int = field(1_000, "Transitions to store before the first update.", minimum=1)

    def validate(self) -> None:
        """Checks that the replay can hold the minimum."""
        if self.min_size > self.capacity:
            raise UserError(
                f"min_size must be <= capacity. Received: {self.min_size} and {self.capacity}"
            )


@dataclasses.dataclass(frozen=True)
class PrioritizedReplay(UniformReplay):
    """Proportional prioritized replay (Schaul et al., 2016)."""

    kind: str = field("prioritized", "Replay.", choices=("prioritized",))
    priority_exponent: float = field(
        0.6,
        "Exponent of the priorities; 0 is uniform, 1 fully proportional.",
        minimum=0.0,
        maximum=1.0,
    )
    importance_exponent: float = field(
        0.4,
        "Initial exponent of the importance weights; it is annealed to 1.",
        minimum=0.0,
        maximum=1.0,
    )


Replay = UniformReplay | PrioritizedReplay


@dataclasses.dataclass(frozen=True)
class EpsilonGreedy(ConfigBase):
    """Random actions with probability epsilon, which decays linearly."""

    epsilon_initial: float = field(
        1.0, "Probability of a random action at the start.", minimum=0.0, maximum=1.0
    )
    epsilon_final: float = field(
        0.05, "Probability of a random action after the decay.", minimum=0.0, maximum=1.0
    )
    epsilon_decay_steps: int = field(10_000, "Environment steps of the linear decay.", minimum=1)
    epsilon_duration: float = field(
        1.0,
        "Mean number of steps for which a random action is repeated (Dabney et al., 2021); 1 "
        "disables repetition.",
        minimum=1.0,
    )


@dataclasses.dataclass(frozen=True)
class DQN(ConfigBase):
    """DQN (Mnih et al., 2015) and its extensions, which can be combined freely."""

    kind: str = field("dqn", "Agent.", choices=("dqn",))
    discount: float = field(0.99, "Discount factor gamma.", minimum=0.0, maximum=1.0)
    n_step: int = field(1, "Number of rewards summed before bootstrapping.", minimum=1)
    double: bool = field(
        False, "Double DQN (van Hasselt et al., 2016): the online network selects the action."
    )
    dueling: bool = field(False, "Dueling heads (Wang et al., 2016).")
    distribution: str = field(
        "none",
        "Learn the distribution of returns: categorical (C51, Bellemare et al., 2017) or quantile "
        "(QR-DQN, Dabney et al., 2018).",
        choices=("none", "categorical", "quantile"),
    )
    num_atoms: int = field(51, "Categorical: number of support points.", minimum=2)
    v_min: float = field(0.0, "Categorical: smallest support point, return.")
    v_max: float = field(100.0, "Categorical: largest support point, return.")
    num_quantiles: int = field(200, "Quantile: number of quantiles.", minimum=1)
    noisy: bool = field(
        False,
        "Noisy networks (Fortunato et al., 2018): learned noise in the affine maps of the head "
        "explores; set exploration.epsilon_initial and epsilon_final to 0.",
    )
    noisy_sigma: float = field(
        0.5, "Noisy: initial scale of the noise, divided by √inputs.", above=0.0
    )
    munchausen: bool = field(
        False,
        "Munchausen (Vieillard et al., 2020): adds the scaled log-policy to the reward and "
        "bootstraps with a softmax policy.",
    )
    munchausen_alpha: float = field(
        0.9, "Munchausen: factor of the log-policy.", minimum=0.0, maximum=1.0
    )
    munchausen_temperature: float = field(
        0.03, "Munchausen: temperature of the softmax policy.", above=0.0
    )
    munchausen_clip: float = field(
        -1.0, "Munchausen: smallest temperature times log-policy, return.", maximum=0.0
    )
    loss: str = field(
        "huber",
        "Loss of the temporal difference error; with a distribution the loss is always the "
        "cross-entropy, or the quantile Huber loss.",
        choices=("huber", "squared"),
    )
    target_update_period: int = field(
        100, "Gradient steps between updates of the target network.", minimum=1
    )
    target_update_tau: float = field(
        1.0,
        "Fraction of the online network mixed into the target network; 1 copies it.",
        above=0.0,
        maximum=1.0,
    )
    exploration: EpsilonGreedy = dataclasses.field(default_factory=EpsilonGreedy)
    replay: Replay = dataclasses.field(default_factory=UniformReplay)

    def validate(self) -> None:
        """Checks that the support is not empty."""
        if self.v_min >= self.v_max:
            raise UserError(f"v_min must be < v_max. Received: {self.v_min} and {self.v_max}")


@dataclasses.dataclass(frozen=True)
class QLinear(ConfigBase):
    """The founding document's Q-learning: a linear Q function without a target network.

    Q(s, a) ← (1 - alpha) Q(s, a) + alpha (r + gamma max Q(s', a')).
    """

    kind: str = field("q_linear", "Agent.", choices=("q_linear",))
    alpha: float = field(0.1, "Learning rate.", above=0.0, maximum=1.0)
    discount: float = field(0.9, "Discount factor gamma.", minimum=0.0, maximum=1.0)
    exploration: EpsilonGreedy = dataclasses.field(
        default_factory=lambda: EpsilonGreedy(epsilon_initial=0.0, epsilon_final=0.0)
    )
    replay: Replay = dataclasses.field(default_factory=UniformReplay)


@dataclasses.dataclass(frozen=True)
class ActorCritic(ConfigBase):
    """What agents with a stochastic policy and a value function share.

    They learn from rollouts of train.num_envs * train.collect_steps environment steps.
    """

    discount: float = field(0.99, "Discount factor gamma.", minimum=0.0, maximum=1.0)
    entropy_weight: float = field(0.0, "Factor of the entropy bonus.", minimum=0.0)
    value_weight: float = field(0.5, "Factor of the value loss.", minimum=0.0)
    normalize_advantages: bool = field(
        True, "Scale the advantages of each rollout to mean 0 and variance 1."
    )
    normalize_observations: bool = field(
        False, "Scale observations by their running mean and variance."
    )
    normalize_rewards: bool = field(
        False, "Divide rewards by the running standard deviation of discounted returns."
    )
    shared_network: bool = field(False, "One network with two heads instead of two networks.")
    orthogonal_initialization: bool = field(
        True, "Orthogonal kernels, and small ones in the policy's head."
    )
    log_std_initial: float = field(
        0.0, "Continuous actions: initial logarithm of the standard deviation."
    )


@dataclasses.dataclass(frozen=True)
class Reinforce(ActorCritic):
    """REINFORCE (Williams, 1992): one update with the returns of each rollout."""

    kind: str = field("reinforce", "Agent.", choices=("reinforce",))
    baseline: bool = field(True, "Subtract a learned value of the observation from the returns.")


@dataclasses.dataclass(frozen=True)
class PPO(ActorCritic):
    """Proximal policy optimization (Schulman et al., 2017)."""

    kind: str = field("ppo", "Agent.", choices=("ppo",))
    gae_lambda: float = field(
        0.95, "Lambda of generalized advantage estimation.", minimum=0.0, maximum=1.0
    )
    clip_range: float = field(
        0.2, "Largest change of the probability ratio that the objective rewards.", above=0.0
    )
    value_clip_range: float = field(
        0.0, "Largest change of a value that its loss rewards; 0 disables clipping.", minimum=0.0
    )
    epochs: int = field(10, "Passes over each rollout.", minimum=1)
    target_kl: float = field(
        0.0,
        "Ends the updates of a rollout after an epoch whose mean KL divergence exceeds 1.5 times "
        "this; 0 disables it.",
        minimum=0.0,
    )


OnPolicy = Reinforce | PPO


@dataclasses.dataclass(frozen=True)
class CustomAgent(DQN):
    """A user's own agent: a class as in `trainer.rl.agents`, with DQN's settings."""

    kind: str = field("custom", "Agent.", choices=("custom",))
    builder: str = field("", "The class, as `module:Class`.", non_empty=True)


OffPolicy = DQN | QLinear | CustomAgent
Agent = DQN | QLinear | Reinforce | PPO | CustomAgent

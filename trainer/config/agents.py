"""The `agent` section: the algorithm with its exploration and its experience."""

import dataclasses

from trainer.config.fields import ConfigBase, field
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class UniformReplay(ConfigBase):
    """A ring of transitions, drawn with equal probability."""

    kind: str = field("uniform", "Which replay.", choices=("uniform",))
    capacity: int = field(100_000, "Transitions kept, over all replicas.", minimum=1)
    min_size: int = field(1_000, "Transitions stored before the first update.", minimum=1)

    def validate(self) -> None:
        """Refuses a minimum that the replay cannot hold."""
        if self.min_size > self.capacity:
            raise UserError(
                f"min_size must be <= capacity. Received: {self.min_size} and {self.capacity}"
            )


@dataclasses.dataclass(frozen=True)
class PrioritizedReplay(UniformReplay):
    """Proportional prioritized replay (Schaul et al., 2016)."""

    kind: str = field("prioritized", "Which replay.", choices=("prioritized",))
    priority_exponent: float = field(
        0.6, "0 is uniform, 1 fully proportional.", minimum=0.0, maximum=1.0
    )
    importance_exponent: float = field(
        0.4, "Correction of the bias at first; it grows to 1.", minimum=0.0, maximum=1.0
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
        "Mean number of steps that a random action is repeated (Dabney et al., 2021); 1 draws a "
        "new one at each step.",
        minimum=1.0,
    )


@dataclasses.dataclass(frozen=True)
class DQN(ConfigBase):
    """DQN (Mnih et al., 2015) and its extensions, each an independent switch."""

    kind: str = field("dqn", "Which agent.", choices=("dqn",))
    discount: float = field(0.99, "Discount factor gamma.", minimum=0.0, maximum=1.0)
    n_step: int = field(1, "Rewards summed before bootstrapping.", minimum=1)
    double: bool = field(
        False, "Double DQN (van Hasselt et al., 2016): the online network selects the action."
    )
    dueling: bool = field(False, "Dueling heads (Wang et al., 2016).")
    distribution: str = field(
        "none",
        "categorical: the distribution of returns (C51, Bellemare et al., 2017).",
        choices=("none", "categorical"),
    )
    num_atoms: int = field(51, "Categorical: support points.", minimum=2)
    v_min: float = field(0.0, "Categorical: smallest support point, return.")
    v_max: float = field(100.0, "Categorical: largest support point, return.")
    loss: str = field(
        "huber",
        "Of the temporal difference error; a categorical distribution takes the cross-entropy.",
        choices=("huber", "squared"),
    )
    target_update_period: int = field(
        100, "Gradient steps between two updates of the target network.", minimum=1
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
        """Refuses an empty support."""
        if self.v_min >= self.v_max:
            raise UserError(f"v_min must be < v_max. Received: {self.v_min} and {self.v_max}")


@dataclasses.dataclass(frozen=True)
class QLinear(ConfigBase):
    """The founding document's Q-learning: a linear Q function and no target network.

    Q(s, a) ← (1 - alpha) Q(s, a) + alpha (r + gamma max Q(s', a')).
    """

    kind: str = field("q_linear", "Which agent.", choices=("q_linear",))
    alpha: float = field(0.1, "Learning rate.", above=0.0, maximum=1.0)
    discount: float = field(0.9, "Discount factor gamma.", minimum=0.0, maximum=1.0)
    exploration: EpsilonGreedy = dataclasses.field(
        default_factory=lambda: EpsilonGreedy(epsilon_initial=0.0, epsilon_final=0.0)
    )
    replay: Replay = dataclasses.field(default_factory=UniformReplay)


@dataclasses.dataclass(frozen=True)
class CustomAgent(DQN):
    """A user's own agent: a class as in `trainer.rl.agents`, with DQN's settings."""

    kind: str = field("custom", "Which agent.", choices=("custom",))
    builder: str = field("", "The class, `module:Class`.", non_empty=True)


Agent = DQN | QLinear | CustomAgent

"""A reinforcement learning experiment: environment, agent, replay, training, evaluation."""

import dataclasses

from trainer.config.fields import Section, setting
from trainer.config.sections import MLP, Adam, Cadence, Model, Optimizer
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class Environment(Section):
    """What the agent acts in."""

    name: str = setting(
        "CartPole-v1",
        "An environment written in TensorFlow (CartPole-v0, CartPole-v1, Acrobot-v1, "
        "MountainCar-v0, Catch-v0), any Gymnasium id (`module:Id-v0` too), or a user's own "
        "`module:Class`.",
        non_empty=True,
    )
    backend: str = setting(
        "auto",
        "auto: in the graph where the name is known there, else Gymnasium.",
        choices=("auto", "tensorflow", "gymnasium"),
    )
    time_limit: int = setting(
        0, "Steps after which an episode is truncated; 0: the environment's own.", minimum=0
    )
    frame_stack: int = setting(1, "Last observations seen at once; 1 is off.", minimum=1)
    grey_scale: bool = setting(False, "Colour pixels to one channel of luminance.")


@dataclasses.dataclass(frozen=True)
class _Agent(Section):
    discount: float = setting(0.99, "Worth of a reward one step later.", minimum=0.0, maximum=1.0)
    n_step: int = setting(1, "Rewards summed before bootstrapping.", minimum=1)
    epsilon_initial: float = setting(
        1.0, "Share of random actions at first.", minimum=0.0, maximum=1.0
    )
    epsilon_final: float = setting(
        0.05, "Share of random actions at last.", minimum=0.0, maximum=1.0
    )
    epsilon_decay_steps: int = setting(
        10_000, "Environment steps of linear fall between the two.", minimum=1
    )
    epsilon_duration: float = setting(
        1.0,
        "Steps that a random action is held on average; more than 1 where a goal takes "
        "persistence to find.",
        minimum=1.0,
    )
    target_update_period: int = setting(
        100, "Updates between two moves of the target network.", minimum=1
    )
    target_update_tau: float = setting(
        1.0, "Share of the way the target network moves; 1 copies.", above=0.0, maximum=1.0
    )
    loss: str = setting("huber", "Of the temporal difference error.", choices=("huber", "squared"))


@dataclasses.dataclass(frozen=True)
class QLinear(Section):
    """The founding document's Q-learning: a linear Q, greedy, one update a transition.

    Q(s, a) moves by alpha towards r + gamma max Q(s', a'), with no target network.
    """

    kind: str = setting("q_linear", "Which agent.", choices=("q_linear",))
    alpha: float = setting(0.1, "Step size.", above=0.0, maximum=1.0)
    discount: float = setting(0.9, "Worth of a reward one step later.", minimum=0.0, maximum=1.0)
    epsilon_initial: float = setting(
        0.0, "Share of random actions at first.", minimum=0.0, maximum=1.0
    )
    epsilon_final: float = setting(
        0.0, "Share of random actions at last.", minimum=0.0, maximum=1.0
    )
    epsilon_decay_steps: int = setting(
        10_000, "Environment steps of linear fall between the two.", minimum=1
    )


@dataclasses.dataclass(frozen=True)
class DQN(_Agent):
    """DQN (Mnih et al., 2015)."""

    kind: str = setting("dqn", "Which agent.", choices=("dqn",))


@dataclasses.dataclass(frozen=True)
class DoubleDQN(_Agent):
    """Double DQN (van Hasselt et al., 2016)."""

    kind: str = setting("double_dqn", "Which agent.", choices=("double_dqn",))


@dataclasses.dataclass(frozen=True)
class Dueling(_Agent):
    """Dueling network (Wang et al., 2016) with the double DQN target."""

    kind: str = setting("dueling", "Which agent.", choices=("dueling",))


@dataclasses.dataclass(frozen=True)
class C51(_Agent):
    """Categorical DQN (Bellemare et al., 2017); its loss is a cross-entropy."""

    kind: str = setting("c51", "Which agent.", choices=("c51",))
    atoms: int = setting(51, "Support points of the return's distribution.", minimum=2)
    v_min: float = setting(0.0, "Smallest support point, return.")
    v_max: float = setting(100.0, "Largest support point, return.")

    def validate(self) -> None:
        """Refuses an empty support."""
        if self.v_min >= self.v_max:
            raise UserError(f"v_min must be < v_max. Received: {self.v_min} and {self.v_max}")


Agent = QLinear | DQN | DoubleDQN | Dueling | C51


@dataclasses.dataclass(frozen=True)
class Uniform(Section):
    """A ring of transitions, drawn with equal probability."""

    kind: str = setting("uniform", "Which replay.", choices=("uniform",))
    capacity: int = setting(100_000, "Transitions kept, over all replicas.", minimum=1)
    warmup: int = setting(1_000, "Transitions gathered before the first update.", minimum=1)

    def validate(self) -> None:
        """Refuses a warm-up that the ring cannot hold."""
        if self.warmup > self.capacity:
            raise UserError(
                f"warmup must be <= capacity. Received: {self.warmup} and {self.capacity}"
            )


@dataclasses.dataclass(frozen=True)
class Prioritized(Uniform):
    """Proportional prioritized replay (Schaul et al., 2016)."""

    kind: str = setting("prioritized", "Which replay.", choices=("prioritized",))
    priority_exponent: float = setting(
        0.6, "0 is uniform, 1 fully proportional.", minimum=0.0, maximum=1.0
    )
    importance_exponent: float = setting(
        0.4, "Correction of the bias at first; it grows to 1.", minimum=0.0, maximum=1.0
    )


Replay = Uniform | Prioritized


@dataclasses.dataclass(frozen=True)
class TrainRL(Cadence):
    """How long, how much is gathered and learnt in turn, and what is kept."""

    steps: int = setting(50_000, "Environment steps, over all environments.", minimum=1)
    environments: int = setting(8, "Environments stepped at once, over all replicas.", minimum=1)
    collect_steps: int = setting(
        1, "Steps of every environment before the next updates.", minimum=1
    )
    updates: int = setting(4, "Updates after each collection.", minimum=1)
    global_batch_size: int = setting(64, "Transitions an update, over all replicas.", minimum=1)
    evaluate_every: int = setting(
        0, "Environment steps between two evaluations; 0: 10 a run.", minimum=0
    )


@dataclasses.dataclass(frozen=True)
class EvaluateRL(Section):
    """Greedy episodes in a set of environments of their own."""

    episodes: int = setting(100, "Episodes of the final evaluation.", minimum=2)
    interim_episodes: int = setting(20, "Episodes of an evaluation on the way.", minimum=2)
    checkpoint: str = setting(
        "best",
        "Which weights the final evaluation and `evaluate` take.",
        choices=("best", "last"),
    )


@dataclasses.dataclass(frozen=True)
class ReinforcementLearning(Section):
    """One reinforcement learning experiment; `config.json` holds exactly this."""

    task: str = setting("rl", "Which kind of experiment.", choices=("rl",))
    seed: int = setting(0, "Everything random is a function of it.", minimum=0)
    seeds: int = setting(
        1,
        "Runs to train, of seed, seed + 1 and so on, each in a folder of its own; the result "
        "reports across them.",
        minimum=1,
    )
    environment: Environment = dataclasses.field(default_factory=Environment)
    model: Model = dataclasses.field(default_factory=MLP)
    agent: Agent = dataclasses.field(default_factory=DQN)
    replay: Replay = dataclasses.field(default_factory=Uniform)
    optimizer: Optimizer = dataclasses.field(default_factory=Adam)
    train: TrainRL = dataclasses.field(default_factory=TrainRL)
    evaluate: EvaluateRL = dataclasses.field(default_factory=EvaluateRL)

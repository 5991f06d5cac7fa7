"""A reinforcement learning experiment: environment, model, agent, training, evaluation."""

import dataclasses

from trainer.config.agents import DQN, Agent
from trainer.config.fields import ConfigBase, field
from trainer.config.models import MLP, Model
from trainer.config.optimizers import Adam, Optimizer
from trainer.config.cadence import Cadence


@dataclasses.dataclass(frozen=True)
class Environment(ConfigBase):
    """What the agent acts in."""

    name: str = field(
        "CartPole-v1",
        "An environment written in TensorFlow (CartPole-v0, CartPole-v1, Acrobot-v1, "
        "MountainCar-v0, Catch-v0), any Gymnasium id (`module:Id-v0` too), or a user's own "
        "`module:Class`.",
        non_empty=True,
    )
    backend: str = field(
        "auto",
        "auto: in the graph where the name is known there, else Gymnasium.",
        choices=("auto", "tensorflow", "gymnasium"),
    )
    time_limit: int = field(
        0, "Steps after which an episode is truncated; 0: the environment's own.", minimum=0
    )
    frame_stack: int = field(1, "Last observations seen at once; 1 is off.", minimum=1)
    grayscale: bool = field(False, "Converts color pixels to one channel of luminance.")


@dataclasses.dataclass(frozen=True)
class TrainRL(Cadence):
    """How long, how much is gathered and learnt in turn, and what is kept."""

    steps: int = field(50_000, "Environment steps, over all environments.", minimum=1)
    num_envs: int = field(8, "Environments stepped in parallel, over all replicas.", minimum=1)
    collect_steps: int = field(1, "Steps of every environment before the next updates.", minimum=1)
    gradient_steps: int = field(4, "Updates after each collection.", minimum=1)
    global_batch_size: int = field(64, "Transitions an update, over all replicas.", minimum=1)
    evaluate_every: int = field(
        0, "Environment steps between two evaluations; 0: 10 a run.", minimum=0
    )


@dataclasses.dataclass(frozen=True)
class EvaluateRL(ConfigBase):
    """Greedy episodes in a set of environments of their own."""

    episodes: int = field(100, "Episodes of the final evaluation.", minimum=2)
    interim_episodes: int = field(20, "Episodes of an evaluation on the way.", minimum=2)
    checkpoint: str = field(
        "best",
        "Which weights the final evaluation and `evaluate` take.",
        choices=("best", "last"),
    )


@dataclasses.dataclass(frozen=True)
class ReinforcementLearning(ConfigBase):
    """One reinforcement learning experiment; `config.json` holds exactly this."""

    task: str = field("rl", "Which kind of experiment.", choices=("rl",))
    seed: int = field(0, "Everything random is a function of it.", minimum=0)
    seeds: int = field(
        1,
        "Runs to train, of seed, seed + 1 and so on, each in a folder of its own; the result "
        "reports across them.",
        minimum=1,
    )
    environment: Environment = dataclasses.field(default_factory=Environment)
    model: Model = dataclasses.field(default_factory=MLP)
    agent: Agent = dataclasses.field(default_factory=DQN)
    optimizer: Optimizer = dataclasses.field(default_factory=Adam)
    train: TrainRL = dataclasses.field(default_factory=TrainRL)
    evaluate: EvaluateRL = dataclasses.field(default_factory=EvaluateRL)

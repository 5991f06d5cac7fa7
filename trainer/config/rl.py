"""A reinforcement learning experiment: environment, model, agent, training, evaluation."""

import dataclasses
import math

from trainer.config.agents import DQN, Agent, QLinear
from trainer.config.cadence import Cadence
from trainer.config.fields import SEEDS, ConfigBase, check_seeds, field
from trainer.config.keyword_arguments import parse_keyword_arguments
from trainer.config.models import MLP, Model
from trainer.config.optimizers import Adam, Optimizer
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class Environment(ConfigBase):
    """The environment that the agent interacts with."""

    name: str = field(
        "CartPole-v1",
        "An environment written in TensorFlow (CartPole-v0, CartPole-v1, Acrobot-v1, "
        "MountainCar-v0, Pendulum-v1, Catch-v0, MinAtar/Breakout-v1, MinAtar/Freeway-v1), any "
        "Gymnasium id (`module:Id-v0` too), or a user's own `module:Class`.",
        non_empty=True,
    )
    validation_name: str = field(
        "",
        "Environment of the evaluations during training, such as a later period; empty: name.",
    )
    test_name: str = field("", "Environment of the final evaluation; empty: name.")
    backend: str = field(
        "auto",
        "auto: the TensorFlow implementation if there is one, else Gymnasium.",
        choices=("auto", "tensorflow", "gymnasium"),
    )
    time_limit: int = field(
        0, "Steps after which an episode is truncated; 0: the environment's own limit.", minimum=0
    )
    frame_stack: int = field(
        1, "Number of most recent observations to stack; 1 disables it.", minimum=1
    )
    grayscale: bool = field(False, "Convert RGB observations to grayscale.")
    arguments: tuple[str, ...] = field(
        (),
        "Keyword arguments of a Gymnasium environment, each `name=value` with a Python or JSON "
        "literal, such as gravity=-5 or continuous=true.",
    )
    wrappers: tuple[str, ...] = field(
        (),
        "Wrappers of a Gymnasium environment, applied in this order; each is a `module:function` "
        "or a `module:Class` that is called with the environment.",
    )
    flatten: bool = field(
        False,
        "Flatten the observations of a Gymnasium environment, such as those of a Dict or a Tuple "
        "space, to one axis.",
    )

    action_mask: bool = field(
        False,
        "Take only the actions that are valid by info['action_mask'] of a Gymnasium environment.",
    )
    frame_skip: int = field(
        1,
        "Frames of a Gymnasium environment per step, with one action; rewards are added up, pixels "
        "are the maximum of the last two frames.",
        minimum=1,
    )
    noop_starts: int = field(
        0,
        "A Gymnasium episode begins with 1 to this number of frames of the first action; 0: none.",
        minimum=0,
    )
    sticky_actions: float = field(
        0.0,
        "Probability that a frame of a Gymnasium environment repeats the last action.",
        minimum=0,
        below=1,
    )
    life_loss: bool = field(
        False,
        "In training, an episode ends with each life that a Gymnasium environment counts in "
        "info['lives']; the game continues.",
    )
    clip_rewards: str = field(
        "none",
        "Rewards that the agent learns from: none: unchanged; sign: -1, 0 or 1; clip: to [-1, 1]. "
        "Reported returns are of unchanged rewards.",
        choices=("none", "sign", "clip"),
    )
    resize: tuple[int, ...] = field(
        (), "Height and width, in pixels, of resized observations; empty: unchanged.", minimum=1
    )

    workers: int = field(
        0,
        "Processes that step the environments of a Gymnasium batch; 0: this process. Results do "
        "not depend on it.",
        minimum=0,
    )

    def validate(self) -> None:
        """Checks the form of the keyword arguments and of the size."""
        parse_keyword_arguments(self.arguments, "arguments")
        if len(self.resize) not in (0, 2):
            raise UserError(f"resize must be a height and a width. Received: {self.resize}")
        if self.action_mask and self.frame_stack > 1:
            raise UserError(f"frame_stack must be 1 with action_mask. Received: {self.frame_stack}")


@dataclasses.dataclass(frozen=True)
class TrainRL(Cadence):
    """Training duration, collection and updates."""

    steps: int = field(50_000, "Environment steps, over all environments.", minimum=1)
    num_envs: int = field(8, "Environments stepped in parallel, over all replicas.", minimum=1)
    collect_steps: int = field(1, "Steps of each environment between updates.", minimum=1)
    gradient_steps: int = field(
        4,
        "Updates after each collection, of agents with a replay; others make agent.epochs passes.",
        minimum=1,
    )
    global_batch_size: int = field(
        64,
        "Transitions per update, over all replicas. It must divide the steps of a rollout; 0: all "
        "of them.",
        minimum=0,
    )
    stop_at_return: str = field(
        "", "Mean return of an evaluation at which the run stops, such as 475; empty: none."
    )
    checkpoint_replay: bool = field(
        True,
        "Save the replay in checkpoints. Without it they are small, and a resumed run fills the "
        "replay again before it learns.",
    )
    evaluate_every: int = field(
        0, "Environment steps between evaluations; 0: 10 evaluations per run.", minimum=0
    )

    def validate(self) -> None:
        """Checks that the return to stop at is a number."""
        try:
            is_number = math.isfinite(float(self.stop_at_return or 0))
        except ValueError:
            is_number = False
        if not is_number:
            raise UserError(
                f"stop_at_return must be a number or empty. Received: {self.stop_at_return!r}"
            )


@dataclasses.dataclass(frozen=True)
class EvaluateRL(ConfigBase):
    """Evaluation of the greedy policy in separate environments."""

    episodes: int = field(100, "Episodes of the final evaluation.", minimum=2)
    interim_episodes: int = field(20, "Episodes of each evaluation during training.", minimum=2)
    checkpoint: str = field(
        "best",
        "Checkpoint used for the final evaluation and by `trainer evaluate`.",
        choices=("best", "last"),
    )
    epsilon: float = field(
        0.0,
        "Probability of a random action in evaluation, of agents with discrete actions.",
        minimum=0.0,
        maximum=1.0,
    )
    reference: str = field(
        "", "A published return with its source, which is shown beside the result."
    )
    split: str = field(
        "test",
        "Episodes of the final evaluation: test, which no interim evaluation has played; or "
        "validation, those of the interim evaluations, for tuning hyperparameters.",
        choices=("test", "validation"),
    )


@dataclasses.dataclass(frozen=True)
class ReinforcementLearning(ConfigBase):
    """A reinforcement learning experiment, as stored in `config.json`."""

    task: str = field("rl", "Task.", choices=("rl",))
    seed: int = field(0, "Seed of everything random.", minimum=0, below=SEEDS)
    seeds: int = field(
        1,
        "Number of runs, with seeds seed, seed + 1, …, each in its own folder; the result "
        "summarizes them.",
        minimum=1,
    )
    environment: Environment = dataclasses.field(default_factory=Environment)
    model: Model = dataclasses.field(default_factory=MLP)
    agent: Agent = dataclasses.field(default_factory=DQN)
    optimizer: Optimizer = dataclasses.field(default_factory=Adam)
    train: TrainRL = dataclasses.field(default_factory=TrainRL)
    evaluate: EvaluateRL = dataclasses.field(default_factory=EvaluateRL)

    def validate(self) -> None:
        """Checks the last seed, and that no optimizer is set for an agent that has its own."""
        check_seeds(self.seed, self.seeds)
        if self.model.weights:
            raise UserError(
                f"model.weights is for supervised runs. Received: {self.model.weights!r}"
            )
        if isinstance(self.agent, QLinear) and self.optimizer != Adam():
            raise UserError(
                "agent.kind 'q_linear' learns with agent.alpha; leave optimizer.* at its defaults, "
                "or use agent.kind 'dqn' with model.kind 'linear'. "
                f"Received: optimizer={self.optimizer}"
            )

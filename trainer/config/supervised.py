"""A supervised experiment: data, augmentation, model, optimizer, training, evaluation."""

import dataclasses

from trainer.config.augment import Augmentation
from trainer.config.data import Data, Digits
from trainer.config.fields import ConfigBase, field, sections
from trainer.config.models import CNN, Model
from trainer.config.optimizers import Adam, Optimizer
from trainer.config.cadence import Cadence


@dataclasses.dataclass(frozen=True)
class Train(Cadence):
    """How long, in which portions, and what is kept."""

    epochs: float = field(10.0, "Passes over the training split.", above=0.0)
    steps: int = field(0, "Updates; 0 leaves it to `epochs`.", minimum=0)
    global_batch_size: int = field(
        128, "Examples an update, over all devices and hosts.", minimum=1
    )
    label_smoothing: float = field(
        0.0, "Probability spread over all classes; 0 is off.", minimum=0.0, below=1.0
    )
    evaluate_every: int = field(
        0, "Updates between two evaluations on the validation split; 0: once an epoch.", minimum=0
    )


@dataclasses.dataclass(frozen=True)
class Evaluate(ConfigBase):
    """How checkpoints are compared and which is tested."""

    batch_size: int = field(512, "Examples a step, over all devices.", minimum=1)
    metrics: tuple[str, ...] = field(
        ("accuracy",),
        "Metrics reported beside the loss: names of trainer.metrics, or your own "
        "`module:attribute`.",
    )
    best_metric: str = field(
        "loss", "Which validation metric chooses the best: loss, or one of metrics.", non_empty=True
    )
    checkpoint: str = field(
        "best",
        "Which weights are tested, evaluated and used for predictions; without a validation "
        "split best is last.",
        choices=("best", "last"),
    )
    split: str = field(
        "test",
        "Which split the evaluation at the end looks at; validation where settings are still "
        "being chosen.",
        choices=("test", "validation"),
    )


@dataclasses.dataclass(frozen=True)
class Supervised(ConfigBase):
    """One supervised experiment; `config.json` holds exactly this."""

    task: str = field("supervised", "Which kind of experiment.", choices=("supervised",))
    seed: int = field(0, "Weights, order and dropout are a function of it.", minimum=0)
    data: Data = dataclasses.field(default_factory=Digits)
    augment: tuple[Augmentation, ...] = sections((), "Applied in order to each training batch.")
    model: Model = dataclasses.field(default_factory=CNN)
    optimizer: Optimizer = dataclasses.field(default_factory=Adam)
    train: Train = dataclasses.field(default_factory=Train)
    evaluate: Evaluate = dataclasses.field(default_factory=Evaluate)

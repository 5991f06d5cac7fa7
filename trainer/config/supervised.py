"""A supervised experiment: data, augmentation, model, optimizer, training, evaluation."""

import dataclasses

from trainer.config.augment import Augmentation, check_order
from trainer.config.cadence import Cadence
from trainer.config.data import Data, Digits
from trainer.config.durations import parse_duration
from trainer.config.fields import SEEDS, ConfigBase, check_seeds, field, sections
from trainer.config.models import CNN, Model
from trainer.config.optimizers import Adam, Optimizer
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class Train(Cadence):
    """Training duration, batches and evaluation interval."""

    epochs: float = field(10.0, "Passes over the training split.", above=0.0)
    steps: int = field(0, "Updates; 0: given by `epochs`.", minimum=0)
    global_batch_size: int = field(
        128, "Examples per update, over all devices and hosts.", minimum=1
    )
    freeze: str = field(
        "",
        "Layers that do not learn: backbone (all but the head), or the name of a layer (all up to "
        "it); empty: none.",
    )
    unfreeze_at: str = field(
        "",
        "When the frozen layers start to learn: updates such as 500, or '5 epochs', or '10 %' of "
        "the run; empty: never.",
    )
    layer_decay: float = field(
        1.0,
        "Factor of the learning rate from each layer with a kernel to the one below it.",
        above=0.0,
        maximum=1.0,
    )
    micro_batches: int = field(
        1,
        "Parts of a batch whose gradients are computed one after the other and summed, which "
        "takes less memory (gradient accumulation).",
        minimum=1,
    )
    batch_norm_group: int = field(
        0,
        "Consecutive examples over which batch normalization computes its statistics in training; "
        "0: all that a device computes at once.",
        minimum=0,
    )
    ema_decay: float = field(
        0.0,
        "Decay per update of an exponential moving average of the network's weights and "
        "statistics, which evaluation and prediction then use; 0 disables it.",
        minimum=0.0,
        below=1.0,
    )
    class_weights: str = field(
        "",
        "Factor of the loss by class: balanced (inversely proportional to its frequency), or "
        "'NAME=WEIGHT,…'; of a multi-label target, where the label is present; empty: 1 each.",
    )
    sampling: str = field(
        "natural",
        "natural: each example once per epoch; balanced: each class equally often, so that "
        "examples of rare classes are repeated.",
        choices=("natural", "balanced"),
    )
    focal_gamma: float = field(
        0.0,
        "Exponent of the focal loss, which gives less weight to examples that are predicted well; "
        "0 disables it.",
        minimum=0.0,
    )
    label_smoothing: float = field(
        0.0, "Probability mass spread over all classes; 0 disables it.", minimum=0.0, below=1.0
    )
    evaluate_every: int = field(
        0, "Updates between evaluations on the validation split; 0: one epoch.", minimum=0
    )

    def validate(self) -> None:
        """Checks that what is unfrozen was frozen."""
        super().validate()
        if self.unfreeze_at:
            parse_duration(self.unfreeze_at, "unfreeze_at")
            if not self.freeze:
                raise UserError("unfreeze_at requires freeze")


@dataclasses.dataclass(frozen=True)
class Evaluate(ConfigBase):
    """Metrics, and the checkpoint and split of the final evaluation."""

    batch_size: int = field(512, "Examples per step, over all devices.", minimum=1)
    metrics: tuple[str, ...] = field(
        (),
        "Metrics reported besides the loss: names of trainer.metrics, or your own as "
        "`module:attribute`; empty: accuracy, or mae, rmse and r2 of a regression.",
    )
    best_metric: str = field(
        "loss",
        "Validation metric that selects the best checkpoint: loss, or one of metrics.",
        non_empty=True,
    )
    checkpoint: str = field(
        "best",
        "Checkpoint used for the final evaluation and for predictions; without a validation "
        "split, best is the last.",
        choices=("best", "last"),
    )
    test_time_augmentation: str = field(
        "none",
        "Views whose logits are averaged in evaluations and predictions: the image and its mirror "
        "image, or also both translated by one pixel.",
        choices=("none", "flip", "flip_translate"),
    )
    threshold: str = field(
        "",
        "What the decision threshold on the validation split optimizes, for two classes or several "
        "labels: accuracy, balanced_accuracy, f1, or cost (see costs); empty: the most probable "
        "class, or labels from a probability of 0.5.",
        choices=("", "accuracy", "balanced_accuracy", "f1", "cost"),
    )
    costs: tuple[float, ...] = field(
        (),
        "With threshold cost: what a false positive and a false negative cost. The second of two "
        "classes is the positive one, see data.positive_class.",
        minimum=0.0,
    )
    reference: str = field(
        "", "A published result with its source, which is shown beside the result."
    )
    split: str = field(
        "test",
        "Split of the final evaluation; use validation while tuning hyperparameters.",
        choices=("test", "validation"),
    )

    def validate(self) -> None:
        """Checks that there are costs if and only if the threshold minimizes them."""
        if (self.threshold == "cost") != bool(self.costs) or len(self.costs) not in (0, 2):
            raise UserError(
                "threshold cost requires costs, of a false positive and of a false negative. "
                f"Received: threshold={self.threshold!r}, costs={self.costs}"
            )


@dataclasses.dataclass(frozen=True)
class Supervised(ConfigBase):
    """A supervised experiment, as stored in `config.json`."""

    task: str = field("supervised", "Task.", choices=("supervised",))
    seed: int = field(
        0,
        "Seed of the initial weights, the order of examples, augmentation and dropout.",
        minimum=0,
        below=SEEDS,
    )
    seeds: int = field(
        1,
        "Number of runs, with seeds seed, seed + 1, …, each in its own folder; the result "
        "summarizes them.",
        minimum=1,
    )
    data: Data = dataclasses.field(default_factory=Digits)
    augment: tuple[Augmentation, ...] = sections((), "Applied in order to each training batch.")
    model: Model = dataclasses.field(default_factory=CNN)
    optimizer: Optimizer = dataclasses.field(default_factory=Adam)
    train: Train = dataclasses.field(default_factory=Train)
    evaluate: Evaluate = dataclasses.field(default_factory=Evaluate)

    def validate(self) -> None:
        """Checks the last seed, and that augmentations that mix two examples come last."""
        check_seeds(self.seed, self.seeds)
        check_order(self.augment)

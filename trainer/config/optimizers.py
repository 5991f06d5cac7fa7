"""The `optimizer` section, with the nested learning rate schedule."""

import dataclasses
from typing import Any

from trainer.config.durations import parse_duration
from trainer.config.fields import ConfigBase, field
from trainer.errors import UserError

_L2_DOC = (
    "Coefficient of the L2 term: weight_decay * weight is added to the gradient before the "
    "momentum; biases and normalization are exempt."
)
_DECAY_DOC = (
    "Decoupled weight decay per update, multiplied by the learning rate; biases and normalization "
    "are exempt."
)


def _final_factor() -> Any:
    return field(0.0, "Factor of the peak at the end of the run.", minimum=0.0, maximum=1.0)


@dataclasses.dataclass(frozen=True)
class WarmupSchedule(ConfigBase):
    """Base class of the schedules that begin with a linear warmup to the peak."""

    warmup: str = field(
        "0",
        "Linear warmup to the peak: updates such as 500, or '5 epochs', or '10 %' of the run; "
        "0 disables it.",
    )

    def validate(self) -> None:
        """Checks that the warmup is a duration."""
        parse_duration(self.warmup, "warmup")


@dataclasses.dataclass(frozen=True)
class ConstantSchedule(WarmupSchedule):
    """The peak learning rate after the warmup."""

    kind: str = field("constant", "Schedule.", choices=("constant",))


@dataclasses.dataclass(frozen=True)
class LinearSchedule(WarmupSchedule):
    """Linear decay after the warmup, from the peak to the end of the run."""

    kind: str = field("linear", "Schedule.", choices=("linear",))
    final_factor: float = _final_factor()


@dataclasses.dataclass(frozen=True)
class CosineSchedule(WarmupSchedule):
    """Cosine decay (Loshchilov and Hutter, 2017) after the warmup, to the end of the run."""

    kind: str = field("cosine", "Schedule.", choices=("cosine",))
    final_factor: float = _final_factor()


@dataclasses.dataclass(frozen=True)
class PolynomialSchedule(WarmupSchedule):
    """Polynomial decay after the warmup, to the end of the run."""

    kind: str = field("polynomial", "Schedule.", choices=("polynomial",))
    power: float = field(2.0, "Exponent of the remaining fraction of the run.", above=0.0)
    final_factor: float = _final_factor()


@dataclasses.dataclass(frozen=True)
class ExponentialSchedule(WarmupSchedule):
    """Exponential decay after the warmup, to the end of the run."""

    kind: str = field("exponential", "Schedule.", choices=("exponential",))
    final_factor: float = field(
        0.01, "Factor of the peak at the end of the run.", above=0.0, maximum=1.0
    )


@dataclasses.dataclass(frozen=True)
class StepSchedule(WarmupSchedule):
    """A drop at each boundary; the defaults are those of He et al. (2016) for CIFAR-10."""

    kind: str = field("step", "Schedule.", choices=("step",))
    boundaries: tuple[str, ...] = field(
        ("50 %", "75 %"),
        "When the learning rate drops, each a duration from the beginning of the run.",
        non_empty=True,
    )
    factor: float = field(
        0.1, "Factor of the learning rate at each boundary.", above=0.0, maximum=1.0
    )

    def validate(self) -> None:
        """Checks that all boundaries are durations."""
        super().validate()
        for boundary in self.boundaries:
            parse_duration(boundary, "boundaries")


@dataclasses.dataclass(frozen=True)
class OneCycleSchedule(ConfigBase):
    """One cycle (Smith and Topin, 2019): up to the peak, then down to the end of the run."""

    kind: str = field("one_cycle", "Schedule.", choices=("one_cycle",))
    peak: str = field(
        "30 %",
        "When the peak is reached: updates such as 500, or '5 epochs', or '10 %' of the run.",
    )
    shape: str = field("cosine", "Form of both phases.", choices=("cosine", "linear"))
    start_factor: float = field(
        0.04, "Factor of the peak at the first update.", minimum=0.0, maximum=1.0
    )
    final_factor: float = _final_factor()

    def validate(self) -> None:
        """Checks that the time of the peak is a duration."""
        parse_duration(self.peak, "peak")


Schedule = (
    ConstantSchedule
    | LinearSchedule
    | CosineSchedule
    | PolynomialSchedule
    | ExponentialSchedule
    | StepSchedule
    | OneCycleSchedule
)


@dataclasses.dataclass(frozen=True)
class _Optimizer(ConfigBase):
    learning_rate: float = field(1e-3, "Peak learning rate.", above=0.0)
    schedule: Schedule = dataclasses.field(default_factory=ConstantSchedule)
    schedule_steps: int = field(
        0,
        "Length of the schedule in steps, however long the run is; 0: the run's length.",
        minimum=0,
    )
    clip_norm: float = field(
        0.0, "Maximum global L2 norm of the gradients; 0 disables clipping.", minimum=0.0
    )


@dataclasses.dataclass(frozen=True)
class Adam(_Optimizer):
    """Adam (Kingma and Ba, 2015)."""

    kind: str = field("adam", "Optimizer.", choices=("adam",))
    beta_1: float = field(0.9, "Decay of the first moment.", minimum=0.0, below=1.0)
    beta_2: float = field(0.999, "Decay of the second moment.", minimum=0.0, below=1.0)
    epsilon: float = field(1e-7, "Added to the denominator.", above=0.0)


@dataclasses.dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    kind: str = field("adamw", "Optimizer.", choices=("adamw",))
    weight_decay: float = field(0.01, _DECAY_DOC, minimum=0.0)


@dataclasses.dataclass(frozen=True)
class SGD(_Optimizer):
    """Stochastic gradient descent, optionally with momentum."""

    kind: str = field("sgd", "Optimizer.", choices=("sgd",))
    momentum: float = field(0.0, "Momentum; 0 disables it.", minimum=0.0, below=1.0)
    nesterov: bool = field(False, "Use Nesterov momentum.")
    weight_decay: float = field(0.0, _L2_DOC, minimum=0.0)

    def validate(self) -> None:
        """Checks that Nesterov momentum has a momentum."""
        if self.nesterov and not self.momentum:
            raise UserError("nesterov=True requires momentum > 0")


@dataclasses.dataclass(frozen=True)
class RMSprop(_Optimizer):
    """RMSprop (Tieleman and Hinton, 2012)."""

    kind: str = field("rmsprop", "Optimizer.", choices=("rmsprop",))
    rho: float = field(0.9, "Decay of the mean squared gradient.", minimum=0.0, below=1.0)
    momentum: float = field(0.0, "Momentum; 0 disables it.", minimum=0.0, below=1.0)
    epsilon: float = field(1e-7, "Added to the denominator.", above=0.0)
    weight_decay: float = field(0.0, _L2_DOC, minimum=0.0)


@dataclasses.dataclass(frozen=True)
class LAMB(_Optimizer):
    """LAMB (You et al., 2020): Adam with a step proportional to the norm of each weight."""

    kind: str = field("lamb", "Optimizer.", choices=("lamb",))
    beta_1: float = field(0.9, "Decay of the first moment.", minimum=0.0, below=1.0)
    beta_2: float = field(0.999, "Decay of the second moment.", minimum=0.0, below=1.0)
    epsilon: float = field(1e-6, "Added to the denominator.", above=0.0)
    weight_decay: float = field(0.01, _DECAY_DOC, minimum=0.0)


@dataclasses.dataclass(frozen=True)
class Lion(_Optimizer):
    """Lion (Chen et al., 2023): the sign of a momentum."""

    learning_rate: float = field(1e-4, "Peak learning rate.", above=0.0)
    kind: str = field("lion", "Optimizer.", choices=("lion",))
    beta_1: float = field(0.9, "Weight of the momentum in the update.", above=0.0, below=1.0)
    beta_2: float = field(0.99, "Decay of the momentum.", minimum=0.0, below=1.0)
    weight_decay: float = field(0.1, _DECAY_DOC, minimum=0.0)


@dataclasses.dataclass(frozen=True)
class Muon(_Optimizer):
    """Muon (Jordan et al., 2024) for kernels; SGD with Nesterov momentum for the others.

    Muon updates the variables of two or more dimensions except the last of them, the head.
    """

    learning_rate: float = field(0.02, "Peak learning rate of Muon.", above=0.0)
    kind: str = field("muon", "Optimizer.", choices=("muon",))
    momentum: float = field(0.95, "Momentum of Muon.", minimum=0.0, below=1.0)
    nesterov: bool = field(True, "Use Nesterov momentum in Muon.")
    normalize_weights: bool = field(
        False,
        "Scale each kernel before its update so that its filters have a root mean square norm "
        "of 1.",
    )
    scale_by_shape: bool = field(
        False, "Multiply the update of a kernel by sqrt(max(1, outputs / inputs))."
    )
    newton_schulz_steps: int = field(
        5, "Steps of the iteration that makes the rows of an update orthonormal.", minimum=1
    )
    weight_decay: float = field(
        0.0,
        "Decoupled weight decay per update of the kernels that Muon updates, multiplied by the "
        "learning rate.",
        minimum=0.0,
    )
    head_learning_rate: float = field(
        0.1, "Peak learning rate of the last kernel, by SGD.", above=0.0
    )
    head_weight_decay: float = field(
        0.0, "Coefficient of the L2 term of the last kernel.", minimum=0.0
    )
    bias_learning_rate: float = field(
        0.1, "Peak learning rate of biases and normalization, by SGD.", above=0.0
    )
    bias_weight_decay: float = field(
        0.0, "Coefficient of the L2 term of biases and normalization.", minimum=0.0
    )
    first_bias_duration: str = field(
        "",
        "How long the first bias is updated, such as that of a fixed whitening; its schedule ends "
        "then. Empty: the whole run.",
    )
    sgd_momentum: float = field(
        0.9, "Nesterov momentum of the variables that SGD updates.", minimum=0.0, below=1.0
    )

    def validate(self) -> None:
        """Checks that the duration of the first bias is one."""
        if self.first_bias_duration:
            parse_duration(self.first_bias_duration, "first_bias_duration")


Optimizer = Adam | AdamW | SGD | RMSprop | LAMB | Lion | Muon

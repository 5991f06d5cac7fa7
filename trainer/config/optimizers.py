"""The `optimizer` section, and the learning rate schedule inside it."""

import dataclasses

from trainer.config.fields import ConfigBase, field
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class _Schedule(ConfigBase):
    warmup_steps: int = field(
        0, "Updates of linear rise to the peak; 0 starts at the peak.", minimum=0
    )


@dataclasses.dataclass(frozen=True)
class ConstantSchedule(_Schedule):
    """The peak learning rate after the warm-up."""

    kind: str = field("constant", "Which schedule.", choices=("constant",))


@dataclasses.dataclass(frozen=True)
class LinearSchedule(_Schedule):
    """Linear decay from the peak after the warm-up to 0 at the last update."""

    kind: str = field("linear", "Which schedule.", choices=("linear",))


@dataclasses.dataclass(frozen=True)
class CosineSchedule(_Schedule):
    """Cosine decay (Loshchilov and Hutter, 2017) after the warm-up to 0 at the last update."""

    kind: str = field("cosine", "Which schedule.", choices=("cosine",))


Schedule = ConstantSchedule | LinearSchedule | CosineSchedule


@dataclasses.dataclass(frozen=True)
class _Optimizer(ConfigBase):
    learning_rate: float = field(1e-3, "Peak learning rate.", above=0.0)
    schedule: Schedule = dataclasses.field(default_factory=ConstantSchedule)
    clip_norm: float = field(
        0.0, "Upper bound of the gradients' global L2 norm; 0 is off.", minimum=0.0
    )


@dataclasses.dataclass(frozen=True)
class Adam(_Optimizer):
    """Adam (Kingma and Ba, 2015)."""

    kind: str = field("adam", "Which optimizer.", choices=("adam",))
    beta_1: float = field(0.9, "Decay of the first moment.", minimum=0.0, below=1.0)
    beta_2: float = field(0.999, "Decay of the second moment.", minimum=0.0, below=1.0)
    epsilon: float = field(1e-7, "Added to the denominator.", above=0.0)


@dataclasses.dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    kind: str = field("adamw", "Which optimizer.", choices=("adamw",))
    weight_decay: float = field(
        0.01, "Share of a weight lost an update, times the step size.", minimum=0.0
    )


@dataclasses.dataclass(frozen=True)
class SGD(_Optimizer):
    """Stochastic gradient descent, with momentum where asked for."""

    kind: str = field("sgd", "Which optimizer.", choices=("sgd",))
    momentum: float = field(0.0, "Decay of the velocity; 0 is off.", minimum=0.0, below=1.0)
    nesterov: bool = field(False, "Nesterov's momentum.")

    def validate(self) -> None:
        """Refuses Nesterov's momentum without momentum."""
        if self.nesterov and not self.momentum:
            raise UserError("nesterov needs momentum > 0. Received: momentum=0.0")


@dataclasses.dataclass(frozen=True)
class RMSprop(_Optimizer):
    """RMSprop (Tieleman and Hinton, 2012)."""

    kind: str = field("rmsprop", "Which optimizer.", choices=("rmsprop",))
    rho: float = field(0.9, "Decay of the squared gradient.", minimum=0.0, below=1.0)
    momentum: float = field(0.0, "Decay of the velocity; 0 is off.", minimum=0.0, below=1.0)
    epsilon: float = field(1e-7, "Added to the denominator.", above=0.0)


Optimizer = Adam | AdamW | SGD | RMSprop

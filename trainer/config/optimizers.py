"""The `optimizer` section, with the nested learning rate schedule."""

import dataclasses

from trainer.config.fields import ConfigBase, field
from trainer.errors import UserError


@dataclasses.dataclass(frozen=True)
class _Schedule(ConfigBase):
    warmup_steps: int = field(0, "Updates of linear warmup to the peak; 0 disables it.", minimum=0)


@dataclasses.dataclass(frozen=True)
class ConstantSchedule(_Schedule):
    """The peak learning rate after the warmup."""

    kind: str = field("constant", "Schedule.", choices=("constant",))


@dataclasses.dataclass(frozen=True)
class LinearSchedule(_Schedule):
    """Linear decay after the warmup, from the peak to 0 at the last update."""

    kind: str = field("linear", "Schedule.", choices=("linear",))


@dataclasses.dataclass(frozen=True)
class CosineSchedule(_Schedule):
    """Cosine decay (Loshchilov and Hutter, 2017) after the warmup, to 0 at the last update."""

    kind: str = field("cosine", "Schedule.", choices=("cosine",))


Schedule = ConstantSchedule | LinearSchedule | CosineSchedule


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
    weight_decay: float = field(
        0.01, "Weight decay per update, multiplied by the learning rate.", minimum=0.0
    )


@dataclasses.dataclass(frozen=True)
class SGD(_Optimizer):
    """Stochastic gradient descent, optionally with momentum."""

    kind: str = field("sgd", "Optimizer.", choices=("sgd",))
    momentum: float = field(0.0, "Momentum; 0 disables it.", minimum=0.0, below=1.0)
    nesterov: bool = field(False, "Use Nesterov momentum.")

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


Optimizer = Adam | AdamW | SGD | RMSprop

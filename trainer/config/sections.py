"""Sections that supervised and reinforcement learning share: networks and optimizers."""

import dataclasses

from trainer.config.fields import Section, setting
from trainer.errors import UserError

ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "gelu", "selu", "swish", "linear")


@dataclasses.dataclass(frozen=True)
class Linear(Section):
    """One affine map, W·x + b."""

    kind: str = setting("linear", "Which network.", choices=("linear",))


@dataclasses.dataclass(frozen=True)
class MLP(Section):
    """Fully connected layers."""

    kind: str = setting("mlp", "Which network.", choices=("mlp",))
    units: tuple[int, ...] = setting((256, 128), "Width of each hidden layer.", minimum=1)
    activation: str = setting("relu", "After each hidden layer.", choices=ACTIVATIONS)
    dropout: float = setting(0.0, "Share of units dropped; 0 is off.", minimum=0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class CNN(Section):
    """Convolutions, each followed by max pooling where `pool` > 1, then dense layers."""

    kind: str = setting("cnn", "Which network.", choices=("cnn",))
    filters: tuple[int, ...] = setting(
        (32, 64), "Channels of each convolution.", minimum=1, non_empty=True
    )
    kernel_size: int = setting(3, "Height and width of each kernel, pixels.", minimum=1)
    strides: int = setting(1, "Step of each convolution, pixels.", minimum=1)
    padding: str = setting("same", "Border of each convolution.", choices=("same", "valid"))
    pool: int = setting(2, "Window and step of max pooling, pixels; 1 is off.", minimum=1)
    units: tuple[int, ...] = setting((128,), "Width of each dense layer after.", minimum=1)
    activation: str = setting("relu", "After each layer but the last.", choices=ACTIVATIONS)
    batch_norm: bool = setting(False, "Batch normalization after each convolution.")
    dropout: float = setting(0.0, "Share of dense units dropped; 0 is off.", minimum=0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class KerasCNN(Section):
    """The founding document's Keras CNN: 32 filters of 3x3, ReLU, max pooling 2, dense."""

    kind: str = setting("keras_cnn", "Which network.", choices=("keras_cnn",))


@dataclasses.dataclass(frozen=True)
class ConvNet(Section):
    """The founding document's CV ConvNet: 6@5x5, pool, 16@5x5, pool, 120, 84."""

    kind: str = setting("convnet", "Which network.", choices=("convnet",))


Model = Linear | MLP | CNN | KerasCNN | ConvNet


@dataclasses.dataclass(frozen=True)
class _Optimizer(Section):
    learning_rate: float = setting(1e-3, "Peak step size.", above=0.0)
    warmup_steps: int = setting(
        0, "Updates of linear rise to the peak; 0 starts at the peak.", minimum=0
    )
    schedule: str = setting(
        "constant",
        "After the rise: stay, or fall to 0 at the last update.",
        choices=("constant", "cosine", "linear"),
    )
    clip_norm: float = setting(
        0.0, "Upper bound of the gradients' global L2 norm; 0 is off.", minimum=0.0
    )


@dataclasses.dataclass(frozen=True)
class Adam(_Optimizer):
    """Adam (Kingma and Ba, 2015)."""

    kind: str = setting("adam", "Which optimizer.", choices=("adam",))
    beta_1: float = setting(0.9, "Decay of the first moment.", minimum=0.0, below=1.0)
    beta_2: float = setting(0.999, "Decay of the second moment.", minimum=0.0, below=1.0)
    epsilon: float = setting(1e-7, "Added to the denominator.", above=0.0)


@dataclasses.dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    kind: str = setting("adamw", "Which optimizer.", choices=("adamw",))
    weight_decay: float = setting(
        0.01, "Share of a weight lost an update, times the step size.", minimum=0.0
    )


@dataclasses.dataclass(frozen=True)
class SGD(_Optimizer):
    """Stochastic gradient descent, with momentum where asked for."""

    kind: str = setting("sgd", "Which optimizer.", choices=("sgd",))
    momentum: float = setting(0.0, "Decay of the velocity; 0 is off.", minimum=0.0, below=1.0)
    nesterov: bool = setting(False, "Nesterov's momentum.")

    def validate(self) -> None:
        """Refuses Nesterov's momentum without momentum."""
        if self.nesterov and not self.momentum:
            raise UserError("nesterov needs momentum > 0. Received: momentum=0.0")


@dataclasses.dataclass(frozen=True)
class RMSprop(_Optimizer):
    """RMSprop (Tieleman and Hinton, 2012)."""

    kind: str = setting("rmsprop", "Which optimizer.", choices=("rmsprop",))
    rho: float = setting(0.9, "Decay of the squared gradient.", minimum=0.0, below=1.0)
    momentum: float = setting(0.0, "Decay of the velocity; 0 is off.", minimum=0.0, below=1.0)
    epsilon: float = setting(1e-7, "Added to the denominator.", above=0.0)


Optimizer = Adam | AdamW | SGD | RMSprop


@dataclasses.dataclass(frozen=True)
class Cadence(Section):
    """What any training keeps and when; a step is an update, or an environment step."""

    report_every: int = setting(0, "Steps between two reports; 0: 20 a run.", minimum=0)
    checkpoint_every: int = setting(
        0, "Steps between two checkpoints; 0: at each evaluation.", minimum=0
    )
    checkpoints_to_keep: int = setting(2, "Newest checkpoints kept, beside the best.", minimum=2)
    early_stopping: int = setting(
        0, "Evaluations without a better one that end the run; 0 is off.", minimum=0
    )
    nan_rollbacks: int = setting(
        2,
        "Times a run whose loss is not finite goes back to its last checkpoint with half the "
        "learning rate, before it is given up.",
        minimum=0,
    )

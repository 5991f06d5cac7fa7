"""The `model` section: one dataclass per architecture, found by `kind`."""

import dataclasses

from trainer.config.fields import ConfigBase, field

ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "gelu", "selu", "swish", "linear")


@dataclasses.dataclass(frozen=True)
class Linear(ConfigBase):
    """One affine map, W·x + b."""

    kind: str = field("linear", "Which network.", choices=("linear",))


@dataclasses.dataclass(frozen=True)
class MLP(ConfigBase):
    """Fully connected layers."""

    kind: str = field("mlp", "Which network.", choices=("mlp",))
    units: tuple[int, ...] = field((256, 128), "Width of each hidden layer.", minimum=1)
    activation: str = field("relu", "After each hidden layer.", choices=ACTIVATIONS)
    dropout: float = field(0.0, "Share of units dropped; 0 is off.", minimum=0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class CNN(ConfigBase):
    """Convolutions, each followed by max pooling where `pool` > 1, then dense layers."""

    kind: str = field("cnn", "Which network.", choices=("cnn",))
    filters: tuple[int, ...] = field(
        (32, 64), "Channels of each convolution.", minimum=1, non_empty=True
    )
    kernel_size: int = field(3, "Height and width of each kernel, pixels.", minimum=1)
    strides: int = field(1, "Step of each convolution, pixels.", minimum=1)
    padding: str = field("same", "Border of each convolution.", choices=("same", "valid"))
    pool: int = field(2, "Window and step of max pooling, pixels; 1 is off.", minimum=1)
    units: tuple[int, ...] = field((128,), "Width of each dense layer after.", minimum=1)
    activation: str = field("relu", "After each layer but the last.", choices=ACTIVATIONS)
    batch_norm: bool = field(False, "Batch normalization after each convolution.")
    dropout: float = field(0.0, "Share of dense units dropped; 0 is off.", minimum=0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class KerasCNN(ConfigBase):
    """The founding document's Keras CNN: 32 filters of 3x3, ReLU, max pooling 2, dense."""

    kind: str = field("keras_cnn", "Which network.", choices=("keras_cnn",))


@dataclasses.dataclass(frozen=True)
class ConvNet(ConfigBase):
    """The founding document's CV ConvNet: 6@5x5, pool, 16@5x5, pool, 120, 84."""

    kind: str = field("convnet", "Which network.", choices=("convnet",))


@dataclasses.dataclass(frozen=True)
class CustomModel(ConfigBase):
    """A user's own network: a builder as in `trainer.models`, from any importable module."""

    kind: str = field("custom", "Which network.", choices=("custom",))
    builder: str = field("", "The builder, `module:function`.", non_empty=True)


Model = Linear | MLP | CNN | KerasCNN | ConvNet | CustomModel

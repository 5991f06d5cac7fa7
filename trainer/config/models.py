"""The `model` section: one dataclass per architecture, selected by `kind`."""

import dataclasses

from trainer.config.fields import ConfigBase, field

ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "gelu", "selu", "swish", "linear")


@dataclasses.dataclass(frozen=True)
class _Model(ConfigBase):
    @property
    def has_batch_norm(self) -> bool:
        """Whether the network normalizes examples with statistics of their batch."""
        return False


@dataclasses.dataclass(frozen=True)
class Linear(_Model):
    """A single affine layer, W·x + b."""

    kind: str = field("linear", "Architecture.", choices=("linear",))


@dataclasses.dataclass(frozen=True)
class MLP(_Model):
    """Fully connected layers."""

    kind: str = field("mlp", "Architecture.", choices=("mlp",))
    units: tuple[int, ...] = field((256, 128), "Width of each hidden layer.", minimum=1)
    activation: str = field("relu", "Activation of each hidden layer.", choices=ACTIVATIONS)
    dropout: float = field(0.0, "Fraction of units to drop; 0 disables it.", minimum=0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class CNN(_Model):
    """Convolutions, each followed by max pooling if `pool` > 1, then dense layers."""

    kind: str = field("cnn", "Architecture.", choices=("cnn",))
    filters: tuple[int, ...] = field(
        (32, 64), "Channels of each convolution.", minimum=1, non_empty=True
    )
    kernel_size: int = field(3, "Height and width of each kernel, pixels.", minimum=1)
    strides: int = field(1, "Stride of each convolution, pixels.", minimum=1)
    padding: str = field("same", "Padding of each convolution.", choices=("same", "valid"))
    pool: int = field(2, "Window and stride of max pooling, pixels; 1 disables it.", minimum=1)
    units: tuple[int, ...] = field(
        (128,), "Width of each dense layer after the convolutions.", minimum=1
    )
    activation: str = field(
        "relu", "Activation of each layer except the output.", choices=ACTIVATIONS
    )
    batch_norm: bool = field(False, "Batch normalization after each convolution.")
    dropout: float = field(
        0.0, "Fraction of dense units to drop; 0 disables it.", minimum=0.0, below=1.0
    )

    @property
    def has_batch_norm(self) -> bool:
        """See the base class."""
        return self.batch_norm


@dataclasses.dataclass(frozen=True)
class KerasCNN(_Model):
    """The founding document's Keras CNN: 32 filters of 3x3, ReLU, max pooling 2, dense."""

    kind: str = field("keras_cnn", "Architecture.", choices=("keras_cnn",))


@dataclasses.dataclass(frozen=True)
class ConvNet(_Model):
    """The founding document's CV ConvNet: 6@5x5, pool, 16@5x5, pool, 120, 84."""

    kind: str = field("convnet", "Architecture.", choices=("convnet",))


@dataclasses.dataclass(frozen=True)
class CustomModel(_Model):
    """A user's own network: a builder as in `trainer.models`, from any importable module."""

    kind: str = field("custom", "Architecture.", choices=("custom",))
    builder: str = field("", "The builder, as `module:function`.", non_empty=True)


Model = Linear | MLP | CNN | KerasCNN | ConvNet | CustomModel

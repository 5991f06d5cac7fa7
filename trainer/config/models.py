"""The `model` section: one dataclass per architecture, selected by `kind`."""

import dataclasses

from trainer.config.fields import ConfigBase, field
from trainer.errors import UserError

ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "gelu", "selu", "swish", "linear")

SIZES = ("imagenet", "cifar")


def _variant() -> str:
    return field(
        "cifar",
        "Stem and pooling for images of 224x224 (imagenet) or 32x32 (cifar) pixels.",
        choices=SIZES,
    )


def _width() -> float:
    return field(1.0, "Factor of the number of channels of each layer.", above=0.0)


def _dropout(rate: float, doc: str) -> float:
    return field(rate, f"{doc}; 0 disables it.", minimum=0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class _Model(ConfigBase):
    weights: str = field(
        "",
        "What the weights start from: a work directory, a .keras or .weights.h5 file, or a "
        "SavedModel; empty: random.",
    )

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
    kernel_size: tuple[int, ...] = field(
        (3,),
        "Height and width of each convolution's kernel, pixels; one value: of all.",
        minimum=1,
        non_empty=True,
    )
    strides: tuple[int, ...] = field(
        (1,), "Stride of each convolution, pixels; one value: of all.", minimum=1, non_empty=True
    )
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

    def __post_init__(self) -> None:
        """Accepts integers, which earlier configurations hold, as tuples of one value."""
        for name in ("kernel_size", "strides"):
            if type(value := getattr(self, name)) is int:
                object.__setattr__(self, name, (value,))
        super().__post_init__()

    def validate(self) -> None:
        """Checks the number of kernels and strides."""
        for name in ("kernel_size", "strides"):
            if len(values := getattr(self, name)) not in (1, len(self.filters)):
                raise UserError(
                    f"{name} must have one value, or one for each of the {len(self.filters)} "
                    f"convolutions. Received: {values}"
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
class LeNet5(_Model):
    """LeNet-5 (LeCun et al., 1998)."""

    kind: str = field("lenet5", "Architecture.", choices=("lenet5",))
    variant: str = field(
        "1998",
        "Tanh and average pooling as published (1998), or ReLU and max pooling (relu).",
        choices=("1998", "relu"),
    )
    width: float = _width()


@dataclasses.dataclass(frozen=True)
class AlexNet(_Model):
    """AlexNet (Krizhevsky et al., 2012) in its one-column form (Krizhevsky, 2014)."""

    kind: str = field("alexnet", "Architecture.", choices=("alexnet",))
    variant: str = _variant()
    width: float = _width()
    dropout: float = _dropout(0.5, "Fraction of the inputs of each dense layer to drop")


@dataclasses.dataclass(frozen=True)
class VGG(_Model):
    """VGG (Simonyan and Zisserman, 2015)."""

    kind: str = field("vgg", "Architecture.", choices=("vgg",))
    depth: int = field(16, "Layers with weights of the published network: 11, 13, 16 or 19.")
    variant: str = _variant()
    batch_norm: bool = field(True, "Batch normalization after each convolution.")
    width: float = _width()
    dropout: float = _dropout(0.5, "Fraction of dense units to drop")

    def validate(self) -> None:
        """Checks the depth."""
        _require_depth(self.depth, (11, 13, 16, 19))

    @property
    def has_batch_norm(self) -> bool:
        """See the base class."""
        return self.batch_norm


@dataclasses.dataclass(frozen=True)
class Inception(_Model):
    """GoogLeNet (Szegedy et al., 2015), with its auxiliary classifiers."""

    kind: str = field("inception", "Architecture.", choices=("inception",))
    variant: str = _variant()
    batch_norm: bool = field(True, "Batch normalization after each convolution.")
    auxiliary_weight: float = field(
        0.3, "Factor of the loss of both auxiliary classifiers; 0 removes them.", minimum=0.0
    )
    width: float = _width()
    dropout: float = _dropout(0.4, "Fraction of the final features to drop")

    @property
    def has_batch_norm(self) -> bool:
        """See the base class."""
        return self.batch_norm


@dataclasses.dataclass(frozen=True)
class ResNet(_Model):
    """Residual networks (He et al., 2016), also preactivated and with stochastic depth."""

    kind: str = field("resnet", "Architecture.", choices=("resnet",))
    variant: str = _variant()
    depth: int = field(20, "Layers with weights: 6n + 2 for cifar; 18, 34, 50, 101, 152.")
    shortcut: str = field(
        "auto",
        "Where channels grow: zero padding, a projection, or auto, the paper's for the variant.",
        choices=("auto", "padding", "projection"),
    )
    preactivation: bool = field(False, "Normalization and ReLU before each convolution.")
    stochastic_depth: float = _dropout(
        0.0, "Fraction of examples for which the last residual branch is dropped"
    )
    width: float = _width()

    def validate(self) -> None:
        """Checks the depth."""
        if self.variant == "imagenet":
            _require_depth(self.depth, (18, 34, 50, 101, 152))
        elif self.depth < 8 or self.depth % 6 != 2:
            raise UserError(f"depth must be 6n + 2 for cifar. Received: {self.depth}")

    @property
    def has_batch_norm(self) -> bool:
        """See the base class."""
        return True


@dataclasses.dataclass(frozen=True)
class WideResNet(_Model):
    """Wide residual networks (Zagoruyko and Komodakis, 2016): WRN-`depth`-`width`."""

    kind: str = field("wide_resnet", "Architecture.", choices=("wide_resnet",))
    depth: int = field(16, "Layers with weights: 6n + 4.")
    width: float = field(8.0, "Widening factor k of the number of channels.", above=0.0)
    dropout: float = _dropout(0.0, "Fraction of units to drop between a block's convolutions")
    stochastic_depth: float = _dropout(
        0.0, "Fraction of examples for which the last residual branch is dropped"
    )

    def validate(self) -> None:
        """Checks the depth."""
        if self.depth < 10 or self.depth % 6 != 4:
            raise UserError(f"depth must be 6n + 4. Received: {self.depth}")

    @property
    def has_batch_norm(self) -> bool:
        """See the base class."""
        return True


@dataclasses.dataclass(frozen=True)
class Airbench(_Model):
    """The network of airbench94 (Jordan, 2024, arXiv:2404.00498), for images of 32x32 pixels."""

    kind: str = field("airbench", "Architecture.", choices=("airbench",))
    width: float = _width()

    @property
    def has_batch_norm(self) -> bool:
        """See the base class."""
        return True


@dataclasses.dataclass(frozen=True)
class Applications(_Model):
    """A network of Keras Applications, with random weights."""

    kind: str = field("applications", "Architecture.", choices=("applications",))
    name: str = field(
        "MobileNetV2", "A network of tf_keras.applications, such as EfficientNetB0.", non_empty=True
    )

    @property
    def has_batch_norm(self) -> bool:
        """See the base class; true of most of them."""
        return True


@dataclasses.dataclass(frozen=True)
class CustomModel(_Model):
    """A user's own network: a builder as in `trainer.models`, from any importable module."""

    kind: str = field("custom", "Architecture.", choices=("custom",))
    builder: str = field("", "The builder, as `module:function`.", non_empty=True)


def _require_depth(depth: int, known: tuple[int, ...]) -> None:
    if depth not in known:
        raise UserError(f"depth must be one of {', '.join(map(str, known))}. Received: {depth}")


Model = (
    Linear
    | MLP
    | CNN
    | KerasCNN
    | ConvNet
    | LeNet5
    | AlexNet
    | VGG
    | Inception
    | ResNet
    | WideResNet
    | Airbench
    | Applications
    | CustomModel
)

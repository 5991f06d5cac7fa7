"""The networks of the supervised comparison, as the shapes of their layers.

Each side builds them with its own library; images are 32x32x3, and there are 10 classes.
"""

from collections.abc import Sequence
from typing import NamedTuple

BATCH_SIZE = 128
IMAGE_SHAPE = (32, 32, 3)
CLASSES = 10


class Layer(NamedTuple):
    """A convolution of `kernel` x `kernel` with `size` x `size` outputs, or with 1 and 1 dense."""

    inputs: int
    outputs: int
    kernel: int = 1
    size: int = 1

    @property
    def multiply_adds(self) -> int:
        """Per example, in the forward pass."""
        return self.inputs * self.outputs * self.kernel**2 * self.size**2


def _resnet20() -> list[Layer]:
    layers = [Layer(3, 16, kernel=3, size=32)]
    for inputs, outputs, size in ((16, 16, 32), (16, 32, 16), (32, 64, 8)):
        layers.append(Layer(inputs, outputs, kernel=3, size=size))
        layers += 5 * [Layer(outputs, outputs, kernel=3, size=size)]
    return [*layers, Layer(64, CLASSES)]


# The layers with kernels, in the order of the forward pass.
NETWORKS: dict[str, Sequence[Layer]] = {
    "convnet": [
        Layer(3, 6, kernel=5, size=28),
        Layer(6, 16, kernel=5, size=10),
        Layer(16 * 5 * 5, 120),
        Layer(120, 84),
        Layer(84, CLASSES),
    ],
    "keras_cnn": [Layer(3, 32, kernel=3, size=30), Layer(32 * 15 * 15, CLASSES)],
    "resnet20": _resnet20(),
}
TITLES = {
    "convnet": "ConvNet (6@5x5, 16@5x5, 120, 84), SGD",
    "keras_cnn": "Keras CNN (32@3x3, dense), Adam",
    "resnet20": "ResNet-20, SGD with Nesterov momentum",
}


def operations(layers: Sequence[Layer]) -> int:
    """Floating-point operations per example of an update.

    A multiply-add counts as two. The backward pass has two products of the size of each product
    of the forward pass: the gradients of the inputs and of the kernels.
    """
    return 3 * 2 * sum(layer.multiply_adds for layer in layers)

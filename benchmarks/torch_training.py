"""PyTorch's side: bare updates on a batch in memory.

    .venv-peers/bin/python benchmarks/torch_training.py NETWORK THREADS PRECISION [OPTION…]

PRECISION is float32, or bfloat16 for autocast; options are channels_last and compile.
"""

import sys
from collections.abc import Callable

import torch
from contender import serve, timed
from networks import BATCH_SIZE, CLASSES, IMAGE_SHAPE
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two convolutions and a shortcut with zero padding (He et al., 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.stride, self.padding = stride, outputs - inputs
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[B, C, H, W]`."""
        shortcut = x
        if self.padding:
            pixels = x[:, :, :: self.stride, :: self.stride]
            shortcut = F.pad(pixels, (0, 0, 0, 0, 0, self.padding))
        return F.relu(self.branch(x) + shortcut)


def _convnet() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        nn.Flatten(),
        *(nn.Linear(400, 120), nn.ReLU(inplace=True)),
        *(nn.Linear(120, 84), nn.ReLU(inplace=True)),
        nn.Linear(84, CLASSES),
    )


def _keras_cnn() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Linear(7200, CLASSES),
    )


def _resnet20() -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
    ]
    inputs = 16
    for outputs in (16, 32, 64):
        for index in range(3):
            stride = 2 if outputs > 16 and index == 0 else 1
            layers.append(Block(inputs, outputs, stride))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES))


def build(network: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network and its optimizer, whose update is one operation (`fused`)."""
    if network == "convnet":
        model = _convnet()
        return model, torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=True)
    if network == "keras_cnn":
        model = _keras_cnn()
        return model, torch.optim.Adam(model.parameters(), fused=True)
    model = _resnet20()
    return model, torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4, fused=True
    )


def updates(network: str, precision: str, options: list[str]) -> Callable[[int], None]:
    """A function that runs a number of updates."""
    model, optimizer = build(network)
    height, width, channels = IMAGE_SHAPE
    features = torch.rand(BATCH_SIZE, channels, height, width)
    labels = torch.randint(CLASSES, (BATCH_SIZE,))
    if "channels_last" in options:
        model = model.to(memory_format=torch.channels_last)
        features = features.to(memory_format=torch.channels_last)
    forward = torch.compile(model) if "compile" in options else model

    def advance(number: int) -> None:
        for _ in range(number):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                loss = F.cross_entropy(forward(features), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return advance


def main() -> None:
    """Serves the mode that the arguments describe."""
    network, threads, precision, *options = sys.argv[1:]
    torch.set_num_threads(int(threads))
    serve(timed(updates(network, precision, options)))


if __name__ == "__main__":
    main()

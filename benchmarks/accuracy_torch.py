"""PyTorch's side of `accuracy.py`: the founding networks, with the initialization of Keras.

It trains on the arrays of an .npz file, with the settings of a JSON object, and prints the test
accuracy of the epoch with the lowest validation loss, which is the choice of the configurations.
"""

import json
import sys
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_EVALUATION_BATCH = 500


def keras_cnn() -> nn.Sequential:
    """32 filters of 3x3, ReLU, max pooling 2, dense, for images of 32x32x3."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(7200, 10)
    )


def convnet() -> nn.Sequential:
    """6@5x5, max pooling 2, 16@5x5, max pooling 2, dense 120, 84 and 10, for images of 32x32x3."""
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


NETWORKS = {"keras_cnn": keras_cnn, "convnet": convnet}


def initialize(layer: nn.Module) -> None:
    """Glorot and Bengio's (2010) uniform weights and zero biases."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)


def make_optimizer(settings: dict[str, Any], network: nn.Module) -> torch.optim.Optimizer:
    """Adam or SGD with momentum."""
    learning_rate = settings["learning_rate"]
    if settings["optimizer"] == "adam":
        return torch.optim.Adam(network.parameters(), learning_rate, eps=settings["epsilon"])
    return torch.optim.SGD(network.parameters(), learning_rate, settings["momentum"])


class Split:
    """The examples of one split, normalized a batch at a time."""

    def __init__(self, arrays: Any, name: str) -> None:
        """Images are stored as uint8 `[N, C, H, W]`."""
        images = np.moveaxis(arrays[f"{name}_images"], -1, 1)
        self.images = torch.from_numpy(np.ascontiguousarray(images))
        self.labels = torch.from_numpy(arrays[f"{name}_labels"].astype(np.int64))
        self.offset = torch.from_numpy(arrays["offset"])[:, None, None]
        self.scale = torch.from_numpy(arrays["scale"])[:, None, None]

    def batch(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Images float32 `[B, C, H, W]` and labels int64 `[B]`."""
        return (self.images[positions].float() - self.offset) * self.scale, self.labels[positions]


@torch.no_grad()
def evaluate(network: nn.Module, split: Split) -> tuple[float, float]:
    """The mean loss and the accuracy."""
    loss, correct = 0.0, 0
    for positions in torch.arange(len(split.labels)).split(_EVALUATION_BATCH):
        images, labels = split.batch(positions)
        logits = network(images)
        loss += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
        correct += int((logits.argmax(1) == labels).sum())
    return loss / len(split.labels), correct / len(split.labels)


def train(settings: dict[str, Any], arrays: Any) -> dict[str, float]:
    """Trains; returns the test accuracy of the best and of the last epoch."""
    torch.manual_seed(settings["seed"])
    splits = {name: Split(arrays, name) for name in ("train", "validation", "test")}
    network = NETWORKS[settings["network"]]().apply(initialize)
    optimizer = make_optimizer(settings, network)
    seconds = 0.0
    results = []
    for _ in range(round(settings["epochs"])):
        started = time.perf_counter()
        order = torch.randperm(len(splits["train"].labels))
        for positions in order.split(settings["batch_size"]):
            images, labels = splits["train"].batch(positions)
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
        seconds += time.perf_counter() - started
        validation_loss, _ = evaluate(network, splits["validation"])
        results.append((validation_loss, evaluate(network, splits["test"])[1]))
    return {
        "test_accuracy": min(results)[1],
        "last_test_accuracy": results[-1][1],
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """Arguments: the settings in JSON, and the .npz file."""
    # On a busy machine, two threads wait for each other far longer than they compute.
    torch.set_num_threads(1)
    print(json.dumps(train(json.loads(sys.argv[1]), np.load(sys.argv[2]))))


if __name__ == "__main__":
    main()

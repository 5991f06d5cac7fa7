"""The recipe of configs/cifar10_fast.py in PyTorch, for CPUs.

    .venv/bin/python benchmarks/fast_recipe_torch.py save cifar10.npz --data_dir=DIR
    .venv-peers/bin/python benchmarks/fast_recipe_torch.py train cifar10.npz --steps=10

`save` writes the images that our side trains on. `train` prints a line of JSON: examples per
second, also of the CPU time of all threads, the loss and the accuracy of each update, and the test
accuracy of a whole run. Source: Jordan (2024, arXiv:2404.00498).
"""

import argparse
import json
import time
from typing import Any

import numpy as np

CLASSES = 10
CHANNELS = (64, 256, 256)
EPOCHS = 8
EPOCHS_OF_WHITENING_BIAS = 3
LABEL_SMOOTHING = 0.2
TRANSLATION = 2
MUON_LEARNING_RATE, MUON_MOMENTUM = 0.24, 0.6
HEAD_LEARNING_RATE, BIAS_LEARNING_RATE, SGD_MOMENTUM = 0.67, 0.053, 0.85
# Of the sum over the recipe's batch, which the learning rates above belong to.
LOSS_FACTOR = 2000
DECAY = 2e-6 * LOSS_FACTOR


def save(path: str, data_dir: str) -> None:
    """Writes the splits as trainer's loader reads them."""
    from trainer.config import TFDS
    from trainer.data.loading import load

    splits = load(TFDS(name="cifar10", validation_fraction=0.0), data_dir).splits
    arrays = {}
    for name in ("train", "test"):
        arrays[f"{name}_images"] = np.concatenate(list(splits[name].chunks()))
        positions = np.arange(len(splits[name]))
        arrays[f"{name}_labels"] = splits[name].at(positions)[1].numpy()
    np.savez(path, **arrays)


def train(arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains for `--steps` updates, or all, and measures."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    with np.load(arguments.path) as arrays:
        raw = {name: torch.from_numpy(arrays[name]) for name in arrays}
    deviation, mean = torch.std_mean(raw["train_images"].float(), (0, 1, 2))

    def normalized(images: torch.Tensor) -> torch.Tensor:
        """uint8 `[n, H, W, C]` to float32 `[n, C, H, W]`, channels last in memory."""
        return ((images.float() - mean) / deviation).permute(0, 3, 1, 2)

    def convolution(inputs: int, filters: int) -> nn.Conv2d:
        layer = nn.Conv2d(inputs, filters, 3, padding=1, bias=False)
        nn.init.dirac_(layer.weight.data[:inputs])
        return layer

    def norm(channels: int) -> nn.BatchNorm2d:
        layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
        layer.weight.requires_grad_(False)
        return layer

    first = normalized(raw["train_images"][:5000])
    patches = functional.unfold(first, 2).transpose(1, 2).reshape(-1, 12)
    eigenvalues, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / (eigenvalues + 5e-4).sqrt()).T.reshape(12, 3, 2, 2)
    whitening = nn.Conv2d(3, 24, 2)
    whitening.weight.data = torch.cat([filters, -filters])
    whitening.weight.requires_grad_(False)
    layers: list[nn.Module] = [whitening, nn.GELU()]
    inputs = 24
    for channels in CHANNELS:
        layers += [convolution(inputs, channels), nn.MaxPool2d(2), norm(channels), nn.GELU()]
        layers += [convolution(channels, channels), norm(channels), nn.GELU()]
        inputs = channels
    head = nn.Linear(inputs, CLASSES, bias=False)
    head.weight.data /= head.weight.std()
    body = nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten())
    network = nn.Sequential(body, head).to(memory_format=torch.channels_last)

    batch_size = arguments.batch_size
    per_epoch = len(raw["train_images"]) // batch_size
    total = EPOCHS * per_epoch
    kernels = [p for p in body.parameters() if p.ndim == 4 and p.requires_grad]
    biases = [p for p in body.parameters() if p.ndim == 1 and p.requires_grad]
    momenta = [torch.zeros_like(kernel) for kernel in kernels]

    def group(parameters: list[nn.Parameter], rate: float, epochs: int) -> dict[str, Any]:
        settings = {"lr": rate, "peak": rate, "weight_decay": DECAY / rate}
        return {"params": parameters, "updates": epochs * per_epoch, **settings}

    assert biases[0] is whitening.bias
    sgd = torch.optim.SGD(
        [
            group(biases[:1], BIAS_LEARNING_RATE, EPOCHS_OF_WHITENING_BIAS),
            group(biases[1:], BIAS_LEARNING_RATE, EPOCHS),
            group([head.weight], HEAD_LEARNING_RATE, EPOCHS),
        ],
        momentum=SGD_MOMENTUM,
        nesterov=True,
    )

    @torch.no_grad()
    def muon(rate: float) -> None:
        for kernel, momentum in zip(kernels, momenta, strict=True):
            momentum.mul_(MUON_MOMENTUM).add_(kernel.grad)
            x = (kernel.grad + MUON_MOMENTUM * momentum).flatten(1)
            x = x / (x.norm() + 1e-7)
            # The smaller of the two products.
            x = x.T if len(x) > x.shape[1] else x
            for _ in range(3):
                gram = x @ x.T
                x = 3.4445 * x + (2.0315 * gram @ gram - 4.7750 * gram) @ x
            x = x.T if len(kernel) > kernel[0].numel() else x
            kernel.mul_(len(kernel) ** 0.5 / kernel.norm())
            kernel.sub_(rate * x.reshape(kernel.shape))

    images, labels = raw["train_images"], raw["train_labels"].long()
    first_flip = torch.rand(len(images)) < 0.5

    def augmented(chosen: torch.Tensor, epoch: int) -> torch.Tensor:
        batch = normalized(images[chosen])
        flipped = first_flip[chosen] ^ bool(epoch % 2)
        batch = torch.where(flipped[:, None, None, None], batch.flip(3), batch)
        padded = functional.pad(batch, (TRANSLATION,) * 4, "reflect")
        shifts = torch.randint(0, 2 * TRANSLATION + 1, (2, len(batch), 1))
        rows, columns = (shift + torch.arange(32) for shift in shifts)
        numbers = torch.arange(len(batch))[:, None, None]
        # Indexing around the channels puts them last.
        windows = padded.permute(0, 2, 3, 1)[numbers, rows[:, :, None], columns[:, None, :]]
        return windows.permute(0, 3, 1, 2)

    bfloat16 = arguments.precision == "bfloat16"
    losses, accuracies, started = [], [], (0.0, 0.0)
    steps = arguments.steps or total
    for step in range(steps):
        if step == 1:
            started = time.perf_counter(), time.process_time()
        epoch, place = divmod(step, per_epoch)
        if place == 0:
            order = torch.randperm(len(images))
        chosen = order[place * batch_size : (place + 1) * batch_size]
        targets = labels[chosen]
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = head(body(augmented(chosen, epoch)) / CHANNELS[-1]).float()
        loss = functional.cross_entropy(logits, targets, label_smoothing=LABEL_SMOOTHING)
        (LOSS_FACTOR * loss).backward()
        for each in sgd.param_groups:
            each["lr"] = each["peak"] * (1 - step / each["updates"])
            if step == each["updates"]:
                each["params"][0].requires_grad_(False)
        sgd.step()
        muon(MUON_LEARNING_RATE * (1 - step / total))
        network.zero_grad(set_to_none=True)
        losses.append(loss.item())
        accuracies.append((logits.argmax(1) == targets).float().mean().item())
    seconds = time.perf_counter() - started[0]
    cpu_seconds = time.process_time() - started[1]

    @torch.no_grad()
    def correct(part: torch.Tensor, targets: torch.Tensor) -> int:
        """With the mirror images, and both translated by a pixel at half the weight."""
        padded = functional.pad(part, (1,) * 4, "reflect")
        logits = torch.zeros(len(part), CLASSES)
        for view, weight in ((part, 2), (padded[..., :32, :32], 1), (padded[..., 2:, 2:], 1)):
            for image in (view, view.flip(3)):
                logits += weight * head(body(image) / CHANNELS[-1])
        return int((logits.argmax(1) == targets).sum())

    # Without the first update.
    examples = (steps - 1) * batch_size
    result = {
        "examples_per_second": examples / seconds,
        "examples_per_cpu_second": examples / cpu_seconds,
        "loss": losses,
        "accuracy": accuracies,
    }
    if steps == total:
        network.eval()
        parts = zip(
            normalized(raw["test_images"]).split(500),
            raw["test_labels"].split(500),
            strict=True,
        )
        result["test_accuracy"] = sum(correct(*part) for part in parts) / len(raw["test_labels"])
    return result


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=("save", "train"))
    parser.add_argument("path")
    parser.add_argument("--data_dir", default="")
    parser.add_argument("--steps", type=int, default=0, help="0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch_size", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    arguments = parser.parse_args()
    if arguments.action == "save":
        save(arguments.path, arguments.data_dir)
    else:
        print(json.dumps(train(arguments)))


if __name__ == "__main__":
    main()

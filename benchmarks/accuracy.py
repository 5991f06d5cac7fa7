"""Trains a founding network with this package and with PyTorch, on the same data and splits.

    python benchmarks/accuracy.py cifar10_keras_cnn --data_dir=DIR

Prints one line of JSON per side and seed. PyTorch is in .venv-peers, which `make bench` installs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from trainer.config import loading
from trainer.config.supervised import Supervised
from trainer.data.examples import InMemoryExamples
from trainer.data.loading import load

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"


def write_arrays(config: Supervised, data_dir: str, path: Path) -> None:
    """Writes the examples of each split and their normalization to an .npz file.

    Args:
      config: the experiment.
      data_dir: directory of prepared TensorFlow Datasets.
      path: the file.
    """
    dataset = load(config.data, data_dir)
    arrays = {
        "offset": np.array(dataset.signature.offset, np.float32),
        "scale": np.array(dataset.signature.scale, np.float32),
    }
    for name, split in dataset.splits.items():
        assert isinstance(split, InMemoryExamples)
        arrays[f"{name}_images"], arrays[f"{name}_labels"] = split.features, split.targets
    np.savez(path, allow_pickle=False, **arrays)


def ours(config_file: Path, data_dir: str, seed: int, workdir: Path) -> dict[str, float]:
    """Trains with `trainer train`; returns the test accuracy and the seconds of training."""
    command = [sys.executable, "-m", "trainer", "train", f"--config={config_file}"]
    options = [f"--config.seed={seed}", f"--data_dir={data_dir}", f"--workdir={workdir}"]
    subprocess.run([*command, *options], check=True, stderr=subprocess.DEVNULL)
    result = json.loads((workdir / "result.json").read_text())
    return {
        "test_accuracy": result["metrics"]["test/accuracy"],
        "seconds": result["seconds"]["train"],
    }


def pytorch(config: Supervised, arrays: Path, seed: int) -> dict[str, float]:
    """Trains with `accuracy_torch.py`; returns the line that it prints."""
    optimizer = config.optimizer
    settings = {
        "network": config.model.kind,
        "optimizer": optimizer.kind,
        "learning_rate": optimizer.learning_rate,
        "momentum": getattr(optimizer, "momentum", 0.0),
        "epsilon": getattr(optimizer, "epsilon", 0.0),
        "epochs": config.train.epochs,
        "batch_size": config.train.global_batch_size,
        "seed": seed,
    }
    command = [str(PEERS), str(HERE / "accuracy_torch.py"), json.dumps(settings), str(arrays)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Trains both sides in turns, one seed after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("cifar10_keras_cnn", "cifar10_convnet"))
    parser.add_argument("--data_dir", default="", help="directory of TensorFlow Datasets")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0, 1, …")
    arguments = parser.parse_args()
    config_file = HERE.parent / "configs" / f"{arguments.name}.py"
    config = loading.load(str(config_file))
    assert isinstance(config, Supervised)
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "arrays.npz"
        write_arrays(config, arguments.data_dir, arrays)
        for seed in range(arguments.seeds):
            sides = {
                "PyTorch": lambda seed=seed: pytorch(config, arrays, seed),
                "ours": lambda seed=seed: ours(
                    config_file, arguments.data_dir, seed, Path(folder) / str(seed)
                ),
            }
            for side, train in sides.items():
                print(json.dumps({"side": side, "seed": seed, **train()}), flush=True)


if __name__ == "__main__":
    main()

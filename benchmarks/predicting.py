"""`make bench WHAT=predicting`: speed and memory of `trainer predict` on small images.

1. Examples per second of prediction, from listing a folder to the lines of text, over those of
   evaluation on the same files, read from disk for each batch, by the same network.
2. Peak memory of the whole command for each number of images.

Both sides of 1 are measured in turns in one process, without start-up and without the index of the
files that evaluation needs.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from inputs import in_turns, jpeg, ratio, temporary_cache
from PIL import Image
from turns import HERE

from trainer.cli.main import run
from trainer.config import CNN, ImageFolder, ResNet, Supervised
from trainer.config.fields import ConfigBase
from trainer.config.loading import to_json
from trainer.data.loading import load
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.supervised.gradients import can_be_halved
from trainer.supervised.predict import predict
from trainer.supervised.prediction_lines import lines
from trainer.supervised.predictor import Predictor
from trainer.supervised.task import SupervisedTask

OUTPUT = HERE.parent / "build" / "bench" / "predicting.json"
NETWORKS: dict[str, ConfigBase] = {
    "CNN": CNN(filters=(16, 32), units=(64,)),
    "ResNet-20": ResNet(depth=20),
}
_CLASSES = 10
# The peak of a process that starts another is inherited by the other's ru_maxrss, not by VmHWM.
_COMMAND = """
import re, sys
from trainer.cli.main import run
assert run(sys.argv[1:]) == 0
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


def write_images(folder: Path, count: int) -> None:
    """Images of 32x32 in folders of ten classes, JPEG and PNG by turns."""
    random = np.random.default_rng(0)
    for number in range(count):
        of_class = folder / f"class_{number % _CLASSES}"
        of_class.mkdir(parents=True, exist_ok=True)
        if number // _CLASSES % 2:
            (of_class / f"{number}.jpg").write_bytes(jpeg(random, (32, 32)))
        else:
            pixels = random.integers(0, 256, (32, 32, 3), np.uint8)
            Image.fromarray(pixels).save(of_class / f"{number}.png")


def train(folder: Path, network: str) -> tuple[Supervised, Path]:
    """A run of one step on the images."""
    experiment = Supervised(
        data=ImageFolder(path=str(folder), residence="disk"),
        model=NETWORKS[network],  # type: ignore[arg-type]
    )
    config = folder.parent / f"{folder.name} {network}.json"
    config.write_text(to_json(experiment))
    workdir = config.with_suffix("")
    assert (
        run(["train", f"--config={config}", f"--workdir={workdir}", "--config.train.steps=1"]) == 0
    )
    return experiment, workdir


def rates(folder: Path, network: str, turns: int) -> dict[str, Any]:
    """Examples per second of prediction and of evaluation."""
    experiment, workdir = train(folder, network)
    runtime = distribution.create(
        DistributionConfig("cpu", precision="float32"), can_be_halved(experiment)
    )
    dataset = load(experiment.data, "")
    task = SupervisedTask(experiment, dataset, runtime, total_steps=1)
    predictor = Predictor(experiment, str(workdir), runtime)
    _, line = lines("jsonl", predictor.signature)

    def evaluation() -> float:
        started = time.perf_counter()
        task.evaluate_split(dataset.splits["train"])
        return len(dataset.splits["train"]) / (time.perf_counter() - started)

    def prediction() -> float:
        started, count = time.perf_counter(), 0
        with open("/dev/null", "w") as file:
            for name, predicted in predict(predictor, [str(folder)]):
                assert not isinstance(predicted, Exception), predicted
                file.write(line(name, predicted))
                count += 1
        return count / (time.perf_counter() - started)

    sides = {"predict": prediction, "evaluate": evaluation}
    for side in sides.values():
        side()
    measured = in_turns(sides, turns)
    return {"rates": measured, "predict over evaluate": ratio(measured, "predict", "evaluate")}


def peak_memory(folder: Path, workdir: Path) -> float:
    """MiB that `trainer predict` takes at most for the images of a folder."""
    arguments = [
        "predict",
        f"--workdir={workdir}",
        str(folder),
        f"--output={workdir.parent / 'predictions.jsonl'}",
    ]
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    return int(done.stdout.splitlines()[-1]) / 2**10


def measure(
    folder: Path, counts: Sequence[int], networks: Sequence[str], turns: int
) -> dict[str, Any]:
    """Rates of each network, and memory of the first one, for each number of images."""
    result: dict[str, Any] = {}
    for count in counts:
        images = folder / str(count)
        write_images(images, count)
        result[f"{count:,} images"] = {
            **{network: rates(images, network, turns) for network in networks},
            "MiB": peak_memory(images, folder / f"{count} {networks[0]}"),
        }
    return result


def main() -> None:
    """Measures, prints and writes everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    arguments = parser.parse_args()
    with temporary_cache() as folder:
        result = measure(folder, arguments.counts, arguments.networks, arguments.turns)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=2)
    OUTPUT.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

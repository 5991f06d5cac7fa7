"""`make bench WHAT=inputs`: speed of reading examples from disk.

1. Image folder on disk against the same examples in memory, ResNet-20 on images of 32x32.
2. Images of 500x400 to 224x224 against a bare tf.data pipeline of read, decode and resize.
3. TFRecord examples of 10 thousand to 1 million: examples per second, and resident memory.
4. Seconds until the first step in the middle of an epoch, over those of a fresh start.

Sides are measured in turns in one process; docs/BENCHMARKS.md has the figures.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from turns import HERE

from trainer.compat.keras import tf
from trainer.config import CNN, ImageFolder, ResNet, Supervised, TFRecord, Train
from trainer.data.examples import Dataset, Examples
from trainer.data.loading import load
from trainer.data.pipelines.batches import training_pipeline
from trainer.data.pipelines.order import Natural
from trainer.engine import distribution
from trainer.engine.distribution_config import DistributionConfig
from trainer.supervised.gradients import can_be_halved
from trainer.supervised.task import SupervisedTask

OUTPUT = HERE.parent / "build" / "bench" / "inputs.json"
BATCH_SIZE = 128
_CLASSES = 10


def write_folder(path: Path, count: int, size: tuple[int, int]) -> None:
    """JPEG files of smooth random images in folders of ten classes."""
    random = np.random.default_rng(0)
    for number in range(count):
        folder = path / f"class_{number % _CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(jpeg(random, size))


def jpeg(random: np.random.Generator, size: tuple[int, int]) -> bytes:
    """A JPEG file with the detail of a photograph: noise at an eighth of the resolution."""
    height, width = size
    coarse = random.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def write_records(path: Path, count: int) -> None:
    """One shard of images of 8x8 with their class."""
    random = np.random.default_rng(0)
    images = [jpeg(random, (8, 8)) for _ in range(100)]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in range(count):
            features = {
                "image": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[images[number % 100]])
                ),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number % _CLASSES])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


def task(experiment: Supervised, dataset: Dataset, step: int = 0) -> SupervisedTask:
    """A task of the experiment that has started at a step."""
    runtime = distribution.create(
        DistributionConfig("cpu", precision="float32"), can_be_halved(experiment)
    )
    made = SupervisedTask(experiment, dataset, runtime, total_steps=1_000_000)
    made.start(step)
    return made


def in_turns(sides: dict[str, Callable[[], float]], turns: int) -> dict[str, list[float]]:
    """The rates of each side, measured one after the other, again and again."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, side in sides.items():
            rates[name].append(side())
    return rates


def ratio(rates: dict[str, list[float]], side: str, other: str) -> float:
    """The median ratio of two sides of the same turn."""
    return statistics.median(a / b for a, b in zip(rates[side], rates[other], strict=True))


def residences(folder: Path, count: int, seconds: float, turns: int) -> dict[str, Any]:
    """ResNet-20: examples per second on disk and in memory."""
    write_folder(folder, count, (32, 32))
    sides: dict[str, Callable[[], float]] = {}
    for residence in ("memory", "disk"):
        experiment = Supervised(
            data=ImageFolder(path=str(folder), residence=residence),
            model=ResNet(depth=20),
            train=Train(global_batch_size=BATCH_SIZE),
        )
        made = task(experiment, load(experiment.data, ""))
        sides[residence] = lambda made=made: _training_rate(made, seconds)  # type: ignore[misc]
    for side in sides.values():
        side()
    rates = in_turns(sides, turns)
    return {"rates": rates, "disk over memory": ratio(rates, "disk", "memory")}


def _training_rate(made: SupervisedTask, seconds: float) -> float:
    """Examples per second over about `seconds`."""
    started, updates = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        made.advance(4)
        updates += 4
    return updates * BATCH_SIZE / (time.perf_counter() - started)


def against_bare_pipeline(folder: Path, count: int, seconds: float, turns: int) -> dict[str, Any]:
    """Images per second of our input pipeline and of the least that tf.data must do."""
    write_folder(folder, count, (400, 500))
    dataset = load(
        ImageFolder(path=str(folder), image_size=(224, 224), residence="disk", test_fraction=0.1),
        "",
    )
    files = tf.constant(sorted(str(path) for path in folder.rglob("*.jpg")))

    def read(path: tf.Tensor) -> tf.Tensor:
        pixels = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        resized = tf.image.resize(pixels, (224, 224), antialias=True)
        return tf.cast(tf.round(resized), tf.uint8)

    bare = (
        tf.data.Dataset.from_tensor_slices(files)
        .shuffle(count)
        .repeat()
        .map(read, tf.data.AUTOTUNE)
        .batch(BATCH_SIZE)
        .prefetch(tf.data.AUTOTUNE)
    )
    sides = {
        "ours": reading_rate(_pipeline(dataset.splits["train"]), seconds),
        "bare tf.data": reading_rate(bare, seconds),
    }
    for side in sides.values():
        side()
    rates = in_turns(sides, turns)
    return {"rates": rates, "ours over bare": ratio(rates, "ours", "bare tf.data")}


def _pipeline(examples: Examples) -> tf.data.Dataset:
    order = Natural(len(examples), 0)
    context = tf.distribute.InputContext(1, 0, 1)
    return training_pipeline(examples, order, BATCH_SIZE, 0)(context)


def reading_rate(dataset: tf.data.Dataset, seconds: float) -> Callable[[], float]:
    """A function that reads on for about `seconds` and returns examples per second.

    The iterator ends with the call, so that it does not read on during the other side's turn.
    """

    def measure() -> float:
        batches = iter(dataset)
        # What was prefetched, and the start of the threads.
        for _ in range(4):
            next(batches)
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            next(batches)
            count += 1
        return count * BATCH_SIZE / (time.perf_counter() - started)

    return measure


def growth(folder: Path, counts: Sequence[int], seconds: float, turns: int) -> dict[str, Any]:
    """TFRecord data of several sizes: examples per second, memory, seconds to the first step."""
    sides: dict[str, Callable[[], float]] = {}
    memory, loading, tasks = {}, {}, {}
    for count in counts:
        write_records(folder / f"{count}.tfrecord", count)
        os.utime(folder / f"{count}.tfrecord", (1e9, 1e9))
        section = TFRecord(path=str(folder / f"{count}.tfrecord"), residence="disk")
        started = time.perf_counter()
        load(section, "")
        indexed = time.perf_counter() - started
        before = psutil.Process().memory_info().rss
        started = time.perf_counter()
        experiment = Supervised(
            data=section,
            model=CNN(filters=(8,), units=(16,)),
            train=Train(global_batch_size=BATCH_SIZE),
        )
        tasks[count] = experiment, load(section, "")
        loading[count] = {"first": indexed, "again": time.perf_counter() - started}
        made = task(*tasks[count])
        made.advance(20)
        memory[count] = (psutil.Process().memory_info().rss - before) / 2**20
        sides[str(count)] = lambda made=made: _training_rate(made, seconds)  # type: ignore[misc]
    rates = in_turns(sides, turns)
    smallest, largest = str(counts[0]), str(counts[-1])
    return {
        "rates": rates,
        "largest over smallest": ratio(rates, largest, smallest),
        "MiB": memory,
        "seconds of loading": loading,
        "resume over start": _resuming(*tasks[counts[-1]], turns=turns),
    }


def _resuming(experiment: Supervised, dataset: Dataset, turns: int) -> float:
    """Seconds from the start in the middle of an epoch to the first step, over a fresh start."""
    middle = len(dataset.splits["train"]) // BATCH_SIZE // 2

    def starting(step: int) -> Callable[[], float]:
        def measure() -> float:
            started = time.perf_counter()
            task(experiment, dataset, step).advance(1)
            return time.perf_counter() - started

        return measure

    times = in_turns({"fresh": starting(0), "middle": starting(middle)}, turns)
    return ratio(times, "middle", "fresh")


@contextlib.contextmanager
def temporary_cache() -> Iterator[Path]:
    """A folder for the data, and an empty cache directory."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRAINER_CACHE_DIR"] = f"{folder}/cache"
        yield Path(folder)


def main() -> None:
    """Measures, prints and writes everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of a side's turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of examples")
    arguments = parser.parse_args()
    seconds, turns = arguments.seconds, arguments.turns

    def scaled(count: int) -> int:
        return max(1000, int(arguments.scale * count))

    result = {}
    with temporary_cache() as folder:
        result["folder of 32x32, ResNet-20"] = residences(
            folder / "small", scaled(50_000), seconds, turns
        )
        result["500x400 to 224x224"] = against_bare_pipeline(
            folder / "large", scaled(5_000), seconds, turns
        )
        counts = [scaled(count) for count in (10_000, 100_000, 1_000_000)]
        result["TFRecord"] = growth(folder, counts, seconds, turns)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=2)
    OUTPUT.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

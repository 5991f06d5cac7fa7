"""Random images of the shape of CIFAR-10, so that the comparison needs no download."""

from typing import TYPE_CHECKING

import numpy as np
from networks import BATCH_SIZE, CLASSES, IMAGE_SHAPE
from numpy.typing import NDArray

if TYPE_CHECKING:
    from trainer.config.data import CustomData
    from trainer.data.examples import Source

_TRAIN_SIZE = 10_000


def images(size: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Images `[size, H, W, C]` and class numbers `[size]`."""
    generator = np.random.default_rng(seed)
    return (
        generator.integers(256, size=(size, *IMAGE_SHAPE), dtype=np.uint8),
        generator.integers(CLASSES, size=size, dtype=np.int32),
    )


def train_images() -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The training split of every side that reads one."""
    return images(_TRAIN_SIZE)


def load(config: "CustomData", data_dir: str) -> "Source":
    """A data source of `trainer train`."""
    del config, data_dir
    # The side of Keras 3 imports this file, and must not load tf_keras.
    from trainer.data.examples import InMemoryExamples, Source

    return Source(
        {
            "train": InMemoryExamples(*train_images()),
            "validation": InMemoryExamples(*images(BATCH_SIZE, seed=1)),
            "test": InMemoryExamples(*images(BATCH_SIZE, seed=2)),
        },
        tuple(map(str, range(CLASSES))),
    )

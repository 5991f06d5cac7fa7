"""`digits`: scikit-learn's handwritten digits."""

import importlib.util
import os

import numpy as np

from trainer.config.data import Digits
from trainer.data.examples import InMemoryExamples, Source

_FILE = os.path.join("datasets", "data", "digits.csv.gz")


def load(config: Digits, data_dir: str) -> Source:
    """1,797 images uint8 `[8, 8, 1]` of the digits 0 to 9.

    The original range 0 to 16 is scaled to 0 to 255, so that image files of digits have the same
    values.
    """
    del config, data_dir
    # Importing scikit-learn takes two seconds, and only its file is needed: 64 pixels and the class
    # in each row.
    package = importlib.util.find_spec("sklearn")
    assert package is not None, "scikit-learn is a dependency"
    assert package.origin is not None, "it is a package of files"
    file = os.path.join(os.path.dirname(package.origin), _FILE)
    rows = np.loadtxt(file, delimiter=",", dtype=np.float64)
    images = np.round(rows[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    split = InMemoryExamples(images, rows[:, -1].astype(np.int32))
    return Source({"train": split}, tuple(map(str, range(10))))

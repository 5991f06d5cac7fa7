"""`digits`: scikit-learn's handwritten digits."""

import numpy as np

from trainer.config.data import Digits
from trainer.data.examples import InMemoryExamples, Source


def load(config: Digits, data_dir: str) -> Source:
    """1,797 images uint8 `[8, 8, 1]` of the digits 0 to 9.

    The original range 0 to 16 is scaled to 0 to 255, so that image files of digits have the same
    values.
    """
    del config, data_dir
    # Importing scikit-learn takes a second, and no other source needs it.
    from sklearn import datasets

    digits = datasets.load_digits()
    features = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    split = InMemoryExamples(features, digits.target.astype(np.int32))
    return Source({"train": split}, tuple(str(name) for name in digits.target_names))

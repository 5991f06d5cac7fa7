"""The source `digits`: scikit-learn's handwritten digits."""

import numpy as np

from trainer.data.examples import Source, Split


def load_digits() -> Source:
    """1,797 images uint8 `[8, 8, 1]` of the digits 0 to 9.

    The original 0 to 16 is spread over 0 to 255, so that an image file of a digit and the
    digit itself are one.
    """
    # scikit-learn takes a second to import, and no other source needs it.
    from sklearn import datasets

    digits = datasets.load_digits()
    features = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    split = Split(features, digits.target.astype(np.int32))
    return Source({"train": split}, tuple(str(name) for name in digits.target_names))

import numpy as np

from trainer.config import Digits
from trainer.data.loading import load


def sizes(dataset):
    return {name: len(split) for name, split in dataset.splits.items()}


def test_digits():
    dataset = load(Digits(), "")
    assert sum(sizes(dataset).values()) == 1797
    assert dataset.signature.stored_shape == (8, 8, 1)
    assert dataset.signature.classes == tuple("0123456789")
    train = dataset.splits["train"]
    assert train.features.dtype == np.uint8
    assert train.features.max() == 255
    assert dataset.signature.scale == (1 / 255,)


def test_splits_are_the_same_every_time_and_change_with_their_seed():
    first, again = load(Digits(), ""), load(Digits(), "")
    other = load(Digits(split_seed=1), "")
    for name in first.splits:
        np.testing.assert_array_equal(first.splits[name].features, again.splits[name].features)
    assert sizes(first) != sizes(other)

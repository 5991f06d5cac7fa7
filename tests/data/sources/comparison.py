"""Whether data sets are equal bit for bit, with their batches, resumed and shared out."""

import numpy as np

from trainer.compat.keras import tf
from trainer.data.pipelines.batches import training_pipeline
from trainer.data.pipelines.order import Natural


def batches(split, count=4, first=0, pipelines=1, number=0):
    """The first training batches of 8 from a step on, for one of several hosts."""
    context = tf.distribute.InputContext(pipelines, number, pipelines)
    pipeline = training_pipeline(split, Natural(len(split), 7), 8, first)(context)
    return [tuple(part.numpy() for part in batch) for batch in pipeline.take(count)]


def assert_equal(found, expected):
    """Compares batches."""
    for batch, other in zip(found, expected, strict=True):
        for part, other_part in zip(batch, other, strict=True):
            np.testing.assert_array_equal(part, other_part)


def assert_equal_datasets(dataset, expected):
    """Compares examples, splits and digests, then batches from the start, resumed and shared."""
    assert dataset.signature == expected.signature
    for name, split in expected.splits.items():
        other = dataset.splits[name]
        assert list(other.identities()) == list(split.identities())
        assert other.digest() == split.digest()
        np.testing.assert_array_equal(other.targets, split.targets)
        for chunk, other_chunk in zip(split.chunks(), other.chunks(), strict=True):
            np.testing.assert_array_equal(other_chunk, chunk)
    train, whole = dataset.splits["train"], batches(expected.splits["train"])
    assert_equal(batches(train), whole)
    assert_equal(batches(train, 2, first=2), whole[2:])
    shares = [batches(train, pipelines=2, number=number) for number in range(2)]
    joined = [
        tuple(np.concatenate(parts) for parts in zip(*pair, strict=True))
        for pair in zip(*shares, strict=True)
    ]
    assert_equal(joined, whole)

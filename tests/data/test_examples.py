import dataclasses
import json

import numpy as np

from trainer.compat.keras import tf
from trainer.data.examples import Examples, InMemoryExamples
from trainer.data.signature import Contents, Signature

FEATURES = np.random.default_rng(0).integers(0, 256, (2500, 3), np.uint8)
TARGETS = np.arange(2500, dtype=np.int32)


class Doubled(Examples):
    """Examples computed on access, through the abstract interface alone."""

    def __init__(self):
        self.devices = set()

    def __len__(self):
        return 2500

    def at(self, positions):
        features = tf.cast(positions, tf.float32)[:, None] * 2
        self.devices.add(features.device[-5:])
        return features, tf.cast(positions, tf.int32)

    @property
    def targets(self):
        return np.arange(2500, dtype=np.int32)

    def select(self, positions):
        raise NotImplementedError


def test_examples_at_positions():
    features, targets = InMemoryExamples(FEATURES, TARGETS).at(tf.constant([7, 0, 7], tf.int64))
    np.testing.assert_array_equal(features, FEATURES[[7, 0, 7]])
    np.testing.assert_array_equal(targets, [7, 0, 7])


def test_a_selection_keeps_its_order():
    part = InMemoryExamples(FEATURES, TARGETS).select(np.array([5, 3]))
    assert len(part) == 2
    np.testing.assert_array_equal(part.targets, [5, 3])


def test_chunks_are_all_features_in_order():
    for examples, expected in (
        (InMemoryExamples(FEATURES, TARGETS), FEATURES),
        (Doubled(), np.arange(2500, dtype=np.float32)[:, None] * 2),
    ):
        chunks = list(examples.chunks())
        assert max(map(len, chunks)) <= 1024
        np.testing.assert_array_equal(np.concatenate(chunks), expected)


def test_examples_are_read_on_the_host():
    examples = Doubled()
    # Another default device, as a GPU is where there is one.
    with tf.device("/cpu:1"):
        list(examples.chunks())
    assert examples.devices == {"CPU:0"}


def test_the_signature_survives_json_exactly():
    original = Signature(
        "image", (6, 5, 3), (6, 5, 3), ("a", "b"), (), (1.5,) * 3, (0.1 + 1e-17,) * 3
    )
    assert Signature.from_json(json.loads(json.dumps(original.to_json()))) == original
    original = dataclasses.replace(original, splits=(Contents("train", 3, "ab"),))
    assert Signature.from_json(json.loads(json.dumps(original.to_json()))) == original

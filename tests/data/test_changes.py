import dataclasses

import numpy as np
import pytest

from trainer.data import changes
from trainer.data.examples import Dataset, InMemoryExamples
from trainer.data.signature import Column, Signature
from trainer.errors import UserError

FEATURES = np.random.default_rng(0).integers(0, 256, (1500, 2, 2, 1), np.uint8)
TARGETS = np.arange(1500, dtype=np.int32) % 3
IMAGES = Signature("image", (2, 2, 1), (2, 2, 1), ("a", "b", "c"), (), (0.0,), (1.0,))


def dataset(signature=IMAGES, features=FEATURES, targets=TARGETS):
    return Dataset({"train": InMemoryExamples(features, targets)}, signature)


def digest(features=FEATURES, targets=TARGETS):
    return changes.contents("train", InMemoryExamples(features, targets))


def test_contents_depend_on_every_byte_and_on_the_order():
    assert digest() == digest(FEATURES.copy(), TARGETS.copy())
    other, label = FEATURES.copy(), TARGETS.copy()
    other[-1, -1, -1] += 1
    label[-1] -= 1
    for changed in (
        digest(other),
        digest(targets=label),
        digest(FEATURES[::-1].copy(), TARGETS[::-1].copy()),
        digest(FEATURES.reshape(1500, 4)),
        digest(FEATURES.view(np.int8)),
    ):
        assert changed.examples == 1500
        assert changed.sha256 != digest().sha256


def test_differences_are_in_words():
    old = [digest()]
    assert changes.differences(old, old) == []
    assert changes.differences(old, [digest(FEATURES[:9], TARGETS[:9])]) == [
        "train has 9 examples, and had 1500"
    ]
    assert changes.differences([*old, dataclasses.replace(old[0], split="test")], old) == [
        "test has 0 examples, and had 1500"
    ]


def test_adopted_classes_have_the_numbers_of_the_run():
    now = dataclasses.replace(IMAGES, classes=("c", "a"), scale=(7.0,))
    adopted = changes.adopt(dataset(now, targets=TARGETS % 2), IMAGES)
    assert adopted.signature == IMAGES
    train = adopted.splits["train"]
    np.testing.assert_array_equal(train.at([0, 1])[1], [2, 0])
    np.testing.assert_array_equal(train.select(np.array([1])).at([0])[1], [0])
    assert changes.contents("train", train).examples == 1500


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"classes": ("a", "b", "z")}, "no class 'z'"),
        ({"stored_shape": (4, 4, 1)}, r"shape \(4, 4, 1\), but the run has the shape \(2, 2, 1\)"),
        ({"columns": (Column("x"),)}, "columns x, but"),
    ],
)
def test_what_the_network_cannot_use_is_refused(changed, message):
    with pytest.raises(UserError, match=message):
        changes.adopt(dataset(dataclasses.replace(IMAGES, **changed)), IMAGES)

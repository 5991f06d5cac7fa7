import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainer.data.examples import InMemoryExamples, Source
from trainer.data.splits import content_hash, hold_out
from trainer.errors import UserError


def source(splits):
    return Source(splits, ("a", "b"))


def split(features):
    return InMemoryExamples(features, np.arange(len(features), dtype=np.int32))


def rows(part):
    return {row.tobytes() for row in part.features}


RANDOM = np.random.default_rng(0).integers(0, 256, (2000, 4, 4, 1), np.uint8)


@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(60, 200), st.just(2)), elements=st.integers(0, 9))
)
@settings(deadline=None)
def test_equal_examples_never_fall_on_both_sides(features):
    try:
        made = hold_out(source({"train": split(features)}), 0, 0.2, 0.3)
    except UserError:
        return
    parts = [rows(part) for part in made.values()]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert sum(len(part) for part in made.values()) == len(features)


@given(st.permutations(range(50)), st.integers(0, 5))
@settings(deadline=None, max_examples=20)
def test_order_and_more_data_move_no_example(order, seed):
    place = content_hash(split(RANDOM[:50]), seed)
    shuffled = content_hash(split(RANDOM[:50][list(order)]), seed)
    np.testing.assert_array_equal(shuffled, place[list(order)])
    np.testing.assert_array_equal(content_hash(split(RANDOM), seed)[:50], place)


def test_fractions_are_approximate():
    made = hold_out(source({"train": split(RANDOM)}), 0, 0.1, 0.2)
    assert abs(len(made["test"]) - 400) < 80
    assert abs(len(made["validation"]) - 200) < 60


def test_another_seed_holds_out_others():
    first = hold_out(source({"train": split(RANDOM)}), 0, 0.0, 0.5)["test"]
    second = hold_out(source({"train": split(RANDOM)}), 1, 0.0, 0.5)["test"]
    assert 300 < len(rows(first) & rows(second)) < 700


def test_targets_stay_with_their_examples():
    made = hold_out(source({"train": split(RANDOM)}), 0, 0.3, 0.3)
    for part in made.values():
        np.testing.assert_array_equal(part.features, RANDOM[part.targets])


def test_what_the_source_brings_is_left_alone():
    own = split(RANDOM[:10])
    made = hold_out(source({"train": split(RANDOM), "test": own}), 0, 0.2, 0.2)
    assert made["test"] is own
    assert set(made) == {"train", "validation", "test"}
    assert set(hold_out(source({"train": split(RANDOM), "test": own}), 0, 0.0, 0.2)) == {
        "train",
        "test",
    }


def test_too_few_to_hold_any_out():
    with pytest.raises(UserError, match=r"split is empty.*Received: 2 examples"):
        hold_out(source({"train": split(RANDOM[:2])}), 0, 0.1, 0.1)

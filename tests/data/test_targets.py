import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.targets import parse_targets
from trainer.errors import UserError


def where(row):
    return f"t.csv, line {row + 2}"


def parse(kind="auto", known=(), **columns):
    return parse_targets(columns, kind, ";", where, known)


def test_classes_in_alphabetical_and_in_numeric_order():
    classes, kind, values = parse(animal=["dog", "cat", "dog"])
    assert (classes, kind, values.dtype) == (("cat", "dog"), "classification", np.int32)
    np.testing.assert_array_equal(values, [1, 0, 1])
    assert parse(digit=["10", "9", "-1"] * 3).classes == ("-1", "9", "10")
    assert parse(digit=["10", "9", "x"]).classes == ("10", "9", "x")


@given(st.lists(st.sampled_from(["a", "b", "c d", "é", "0"]), min_size=1).filter(
    lambda cells: len(set(cells)) > 1
))  # fmt: skip
def test_class_numbers_name_the_cells(cells):
    classes, _, values = parse(x=cells)
    assert [classes[number] for number in values] == cells
    assert len(set(classes)) == len(set(cells))


@pytest.mark.parametrize("kind", ["auto", "classification"])
def test_numbers_that_are_not_classes(kind):
    with pytest.raises(
        UserError, match=r"line 3, column 'x' .*data\.target=regression.*another.*Received: 0\.5"
    ):
        parse(kind, x=["1", "0.5", "2"])
    with pytest.raises(UserError, match=r"21 different numbers in 42 rows.*target=regression"):
        parse(kind, x=[str(n) for n in range(21)] * 2)
    assert len(parse(kind, x=[str(n) for n in range(21)] * 5).classes) == 21
    assert len(parse(kind, x=[str(n) for n in range(20)]).classes) == 20


@pytest.mark.parametrize("cells", [[], ["a"], ["a", "a"]])
def test_one_class_is_too_few(cells):
    with pytest.raises(UserError, match="at least two classes"):
        parse(x=cells)


@pytest.mark.parametrize("kind", ["auto", "classification", "regression"])
def test_an_empty_cell(kind):
    with pytest.raises(UserError, match=r"line 3, column 'x' .*Received: ''"):
        parse(kind, x=["1", "", "2"])


def test_the_classes_of_another_table():
    np.testing.assert_array_equal(parse(known=("a", "b"), x=["b", "b"]).values, [1, 1])
    with pytest.raises(UserError, match=r"line 3, column 'x'.*table: a, b\. Received: 'c'"):
        parse(known=("a", "b"), x=["b", "c"])
    with pytest.raises(UserError, match=r"line 2, column 'x'.*table: a, b\. Received: 'c'"):
        parse("multi_label", ("a", "b"), x=["b;c"])


@pytest.mark.parametrize("kind", ["auto", "multi_label"])
def test_columns_of_0_and_1_are_labels(kind):
    classes, found, values = parse(kind, red=["0", "1", "1.0"], wet=["1", "0", "0"])
    assert (classes, found, values.dtype) == (("red", "wet"), "multi_label", np.float32)
    np.testing.assert_array_equal(values, [[0, 1], [1, 0], [1, 0]])


def test_one_column_of_0_and_1():
    assert parse(red=["0", "1"]).kind == "classification"
    classes, kind, values = parse("multi_label", red=["0", "1"])
    assert (classes, kind) == (("red",), "multi_label")
    np.testing.assert_array_equal(values, [[0], [1]])
    assert parse("multi_label", ("red",), red=["0", "0"]).classes == ("red",)
    np.testing.assert_array_equal(parse("multi_label", ("0", "1"), x=["0"]).values, [[1, 0]])


def test_several_other_columns():
    with pytest.raises(UserError, match=r"line 3, column 'b'.*data\.target=regression.*'3'"):
        parse(a=["0", "1"], b=["1", "3"])
    with pytest.raises(UserError, match=r"line 3, column 'b'.*Received: '3'"):
        parse("multi_label", a=["0", "1"], b=["1", "3"])
    with pytest.raises(UserError, match=r"needs one target column\. Received: a, b"):
        parse("classification", a=["0", "1"], b=["1", "0"])


def test_lists_of_labels():
    classes, kind, values = parse("multi_label", tags=["wet; red", "", "red;red", " blue ;"])
    assert (classes, kind, values.dtype) == (("blue", "red", "wet"), "multi_label", np.float32)
    np.testing.assert_array_equal(values, [[0, 1, 1], [0, 0, 0], [0, 1, 0], [1, 0, 0]])
    with pytest.raises(UserError, match="must have a label"):
        parse("multi_label", tags=["", ";"])


@given(st.lists(st.sets(st.sampled_from("abcd")), min_size=1).filter(any))
def test_lists_name_the_labels(lists):
    classes, _, values = parse("multi_label", x=[";".join(sorted(each)) for each in lists])
    assert [{c for c, v in zip(classes, row, strict=True) if v} for row in values] == lists


def test_numbers():
    classes, kind, values = parse("regression", a=["1.5", "-0"], b=["2e3", " 7 "])
    assert (classes, kind, values.dtype) == (("a", "b"), "regression", np.float32)
    np.testing.assert_array_equal(values, [[1.5, 2000], [0, 7]])
    assert not np.signbit(values).any()


@pytest.mark.parametrize("cell", ["x", "nan", "inf", "1e39", "1_0", "1,5"])
def test_what_is_no_finite_number(cell):
    with pytest.raises(UserError, match=rf"line 3, column 'b' .*Received: '{cell}'") as error:
        parse("regression", a=["1", "2"], b=["1", cell])
    assert "\n" not in str(error.value)

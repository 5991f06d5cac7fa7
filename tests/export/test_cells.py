"""Encoding of cells in TensorFlow, against the encoding of training."""

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.compat.keras import tf
from trainer.data.signature import Column
from trainer.data.tables.cells import is_missing
from trainer.data.tables.encoding import PARTS, encode
from trainer.export.cells import CellEncoder, date_part, input_names, input_specs

COLUMNS = (
    Column("amount"),
    Column("color", "categorical", categories=("red", "light blue", "grün")),
    Column("is_new", "boolean"),
    *(Column("day", "date", part=part) for part in PARTS),
    Column("code", "categorical", categories=()),
)
MISSING = st.sampled_from(["", "NA", "n/a", "NaN", "null", "None", "?"])
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr) | MISSING
COLORS = st.sampled_from(["red", "light blue", "grün", " red ", "Red", "green"]) | MISSING
BOOLEANS = st.sampled_from(["true", "FALSE", "yes", "No", "t", "F", "y", "n", "0", "1"]) | MISSING
ZONES = st.timezones() | st.none()
DATES = (
    st.dates().map(str)
    | st.datetimes().map(datetime.datetime.isoformat)
    | st.datetimes().map(lambda each: f"{each:%Y-%m-%d %H:%M}".rjust(16, "0"))
    | st.datetimes().map(lambda each: each.replace(microsecond=0).isoformat() + "Z")
    | st.datetimes().map(lambda each: each.replace(microsecond=0).isoformat() + "+0530")
    | st.datetimes().map(lambda each: each.replace(microsecond=0).isoformat() + " -08")
    | MISSING
)
ROWS = st.lists(st.tuples(NUMBERS, COLORS, BOOLEANS, DATES, COLORS), min_size=1, max_size=20)
NEARLY_A_DATE = r"[0-9]{4}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-6][0-9])?([+-][0-3][0-9])?"
ENCODER = CellEncoder(COLUMNS)
NAMES = list(input_specs(COLUMNS))
COMPILED = tf.function(
    lambda cells: ENCODER(cells), input_signature=[input_specs(COLUMNS)], autograph=False
)


def tensor(name, texts):
    if name != "amount":
        return tf.constant(texts)
    return tf.constant([float("nan" if is_missing(text) else text) for text in texts])


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_rows_are_those_of_training(rows):
    texts = dict(zip(NAMES, zip(*rows, strict=True), strict=True))
    stripped = {name: [text.strip() for text in cells] for name, cells in texts.items()}
    expected, wrong = encode(stripped, COLUMNS, len(rows))
    assert not wrong
    rows = COMPILED({name: tensor(name, cells) for name, cells in texts.items()})
    np.testing.assert_array_equal(rows, expected)


@settings(max_examples=200, deadline=None)
@given(st.from_regex(NEARLY_A_DATE, fullmatch=True))
def test_impossible_dates_are_told_apart(text):
    column = (Column("day", "date", part="year"),)
    _, wrong = encode({"day": [text]}, column, 1)
    assert bool(tf.math.is_inf(date_part(tf.constant([text]), "year"))[0]) == bool(wrong)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (Column("is_new", "boolean"), "maybe"),
        (Column("day", "date", part="year"), "2023-02-29"),
        (Column("day", "date", part="year"), "yesterday"),
        (Column("amount"), float("inf")),
    ],
    ids=lambda each: str(getattr(each, "name", each)),
)
def test_a_wrong_cell_is_refused_by_name(column, text):
    encoder = CellEncoder((column,))
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"column '{column.name}' must be"):
        encoder({column.name: tf.constant([text])})


def test_a_column_of_several_parts_is_one_input():
    specs = input_specs(COLUMNS)
    assert list(specs) == ["amount", "color", "is_new", "day", "code"]
    assert specs["amount"].dtype == tf.float32
    assert specs["day"].dtype == tf.string


def test_inputs_have_names_that_tensorflow_takes():
    columns = {
        "light color": "light_color",
        "light_color": "light_color_",
        "Light color": "Light_color__",
        "class": "column_class",
        "self": "column_self",
        "2nd": "column_2nd",
        "größe": "gr__e",
    }
    assert input_names([Column(name) for name in columns]) == columns

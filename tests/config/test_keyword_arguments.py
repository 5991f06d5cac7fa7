"""Texts `name=value` as keyword arguments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config.keyword_arguments import parse_keyword_arguments
from trainer.errors import UserError

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SIMPLE = st.one_of(st.none(), st.booleans(), st.integers(), FLOATS, st.text())


@given(st.one_of(SIMPLE, st.lists(SIMPLE), st.dictionaries(st.text(), SIMPLE)))
def test_python_literals_keep_their_value_and_type(value):
    assert parse_keyword_arguments([f"x={value!r}"], "arguments") == {"x": value}
    assert type(parse_keyword_arguments([f"x={value!r}"], "arguments")["x"]) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("null", None),
        ("[true, null, 2]", [True, None, 2]),
        ("-5", -5),
        ("8x8", "8x8"),
        ("'8'", "8"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_json_literals_and_text(text, value):
    assert parse_keyword_arguments([f" x = {text}"], "arguments") == {"x": value}


@pytest.mark.parametrize("text", ["x", "=3", "a b=3", "2=3", ""])
def test_other_forms_are_refused(text):
    with pytest.raises(UserError, match=f"form name=value. Received: '{text}'"):
        parse_keyword_arguments([text], "arguments")


def test_a_name_occurs_once():
    with pytest.raises(UserError, match="Received: x twice"):
        parse_keyword_arguments(["x=1", "y=1", "x=2"], "arguments")

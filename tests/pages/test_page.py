"""The page: complete markup, nothing from a network, and text that cannot become markup."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trainer.pages import charts
from trainer.pages.page import Group, Html, Section, page, picture, shown, table, text

EMPTY = ("meta", "link", "img", "br")


class Structure(HTMLParser):
    """Checks that elements are closed by their own tags."""

    def __init__(self, markup):
        super().__init__()
        self.open, self.seen, self.texts = [], [], []
        self.feed(markup)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


CHART = charts.plot("Loss", "updates", "nats", [charts.Series("train", [1, 2], [3, 4])])
HOSTILE = "</script><script>alert(1)</script><b>&amp;\u2028"


def test_a_page_is_one_file():
    parts = [Group([CHART, CHART]), picture(np.zeros((8, 8, 1), np.uint8), "a black image")]
    made = page("Run", [text("lead")], [Section("Curves", parts), Section("Empty", [])])
    structure = Structure(made)
    for tag, attributes in structure.seen:
        for name in {"src", "href"} & set(attributes):
            assert attributes[name].startswith(("data:", "#")), tag
    assert made.count("plotly.js v") == 1
    assert [tag for tag, _ in structure.seen].count("h2") == 1
    plots = [attributes for _, attributes in structure.seen if attributes.get("class") == "plot"]
    assert [plot["aria-label"] for plot in plots] == ["Loss, x: updates, y: nats"] * 2
    assert len({plot["id"] for plot in plots}) == 2


def test_a_page_without_charts_is_small():
    made = page("Run", [], [Section("Text", [text("x")])])
    Structure(made)
    assert len(made) < 10_000


# A page with charts has 5 MB, which take a second to parse.
@settings(max_examples=15, deadline=None)
@given(st.text() | st.just(HOSTILE))
def test_text_of_users_is_text(content):
    chart = charts.plot(content, content, content, [charts.Series(content, [1], [2])])
    parts = [text(content), table([content], [[content]], content), chart]
    made = page(content, [], [Section(content, parts)])
    structure = Structure(made)
    scripts = [attributes for tag, attributes in structure.seen if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "chart-0-data"}, {}, {}]
    assert "b" not in [tag for tag, _ in structure.seen]


def test_cells():
    assert shown(0.123456) == "0.12346"
    assert shown([1, 0.5]) == "1, 0.5"
    assert shown(None) == ""
    made = table(["name", "value"], [["a", 1.5]], kinds=["strong"])
    assert '<tr class="strong"><td>a</td><td class="number">1.5</td></tr>' in made
    assert isinstance(made, Html)
    Structure(table(["name"], []))


@pytest.mark.parametrize(
    ("shape", "stored"), [((8, 6, 1), (6, 8)), ((512, 300, 3), (150, 256)), ((9, 9, 2), (9, 9))]
)
def test_pictures_have_their_pixels(shape, stored):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    made = picture(pixels, 'a "name"', ["true <3>"])
    content = base64.b64decode(re.search(r"base64,([^\"]*)", made)[1])
    image = Image.open(io.BytesIO(content))
    assert image.size == stored
    if shape[0] < 256:
        np.testing.assert_array_equal(np.asarray(image), pixels[..., 0])
    assert "true &lt;3&gt;" in made
    assert 'alt="a &quot;name&quot;"' in made

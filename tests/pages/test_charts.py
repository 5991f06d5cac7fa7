"""Charts hold the numbers that they are given."""

import json

import numpy as np
import pytest

from trainer.pages import charts


def content(chart):
    return json.loads(chart.to_json())


def test_a_band_surrounds_its_line():
    series = charts.Series("mean", [1, 2], [5, 6], low=[4, 5], high=[7, 8])
    figure = charts.plot("t", "x", "y", [series]).figure
    band, line = figure.data
    assert list(band.x) == [1, 2, 2, 1]
    assert list(band.y) == [7, 8, 5, 4]
    assert list(line.y) == [5, 6]


def test_every_color_is_one_of_the_page():
    some = [charts.Series(str(n), [1, 2], [n, n], [0, 0], [1, 1]) for n in range(11)]
    made = [
        charts.plot("t", "x", "y", some, diagonal=True),
        charts.bars("t", "x", ["a"], [1.0]),
        charts.histogram("t", "x", [("a", [1.0, 2.0])]),
        charts.matrix("t", "x", "y", ["a", "b"], np.eye(2)),
    ]
    for chart in made:
        assert "#" not in chart.to_json()
        assert chart.figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
        assert chart.figure.layout.xaxis.title.text


def test_a_histogram_counts_every_value():
    values = np.random.default_rng(0).normal(size=500)
    chart = charts.histogram("t", "x", [("a", values[:200]), ("b", values[200:])])
    assert [sum(trace.y) for trace in chart.figure.data] == [200, 300]
    same = charts.histogram("t", "x", [("a", [500.0] * 9)])
    assert sum(same.figure.data[0].y) == 9


def test_a_matrix_shows_counts_and_shares_of_rows():
    counts = np.array([[3, 1], [0, 0]])
    (trace,) = charts.matrix("t", "predicted", "true", ["a", "a"], counts).figure.data
    assert [list(row) for row in trace.z] == [[0.75, 0.25], [0, 0]]
    assert [list(row) for row in trace.text] == [["3", "1"], ["", ""]]
    assert list(trace.x) == ["a", "a (2)"]


@pytest.mark.parametrize("name", ["</script><script>", "<b>bold</b>", "<a href='http://a'>"])
def test_names_are_no_markup(name):
    chart = charts.plot("t", name, name, [charts.Series(name, [1, 2], [1, 2], texts=[name] * 2)])
    assert "<" not in chart.to_json()
    (trace,) = chart.figure.data
    assert trace.name.startswith("&lt;")
    assert chart.figure.layout.xaxis.title.text.startswith("&lt;")


def test_values_that_are_not_finite_are_gaps():
    chart = charts.plot("t", "x", "y", [charts.Series("a", [1, 2], [float("nan"), 1.0])])
    # A browser refuses the constant NaN.
    json.loads(chart.to_json(), parse_constant=pytest.fail)
    assert np.isnan(chart.figure.data[0].y[0])


def test_names_are_escaped_once():
    chart = charts.plot("t", charts.shortened("R&D"), "y", [charts.Series("R&D", [1], [2])])
    made = content(chart)
    assert made["layout"]["xaxis"]["title"]["text"] == "R&amp;D"
    assert made["data"][0]["name"] == "R&amp;D"
    assert chart.name == "t, x: R&D, y: y"


def test_long_names_of_bars_stay_different():
    names = ["agent.exploration.epsilon_initial", "agent.exploration.epsilon_final"]
    shown = content(charts.bars("t", "x", names, [1.0, 12_345.0]))["data"][0]
    assert shown["y"] == ["agent.explor…silon_initial", "agent.explor…epsilon_final"]
    assert shown["text"] == ["1", "12,345"]
    assert charts.unique(["a", "a", "a (2)"]) == ["a", "a (2)", "a (2) (2)"]

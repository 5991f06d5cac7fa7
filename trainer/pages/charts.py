"""Charts as plotly figures: axes have titles, and colors are those of the page.

Text of users is escaped, since plotly interprets tags in labels.
"""

import dataclasses
from collections.abc import Sequence
from html import escape, unescape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from trainer.pages.theme import SERIES

_HEIGHT = 320
_ROW_HEIGHT = 30
_LONGEST_LABEL = 26
# Larger values are shown without decimals.
_LARGE = 1000


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart of a page.

    Attributes:
      title: caption, and the beginning of the name for screen readers.
      figure: colors are `var(--…)` of the style sheet.
      height: CSS pixels.
    """

    title: str
    figure: go.Figure
    height: int = _HEIGHT

    @property
    def name(self) -> str:
        """The name for screen readers: title and axes."""
        layout = self.figure.layout
        axes = [
            f"{axis}: {title}"
            for axis, title in (("x", layout.xaxis.title.text), ("y", layout.yaxis.title.text))
            if title
        ]
        return ", ".join([self.title, *map(unescape, axes)])

    def to_json(self) -> str:
        """Data and layout, safe inside a script element."""
        content: str = self.figure.to_json()
        return content.replace("<", "\\u003c")


@dataclasses.dataclass(frozen=True)
class Series:
    """Points of a chart.

    Attributes:
      name: in the legend.
      x: `[N]`.
      y: `[N]`.
      low: lower end of a band around `y`, `[N]`; None: no band.
      high: upper end.
      mode: lines, markers, or lines+markers.
      color: number of the color; None: the position in the chart.
      dash: of the line: solid, dot or dash.
      texts: shown for each point under the pointer.
    """

    name: str
    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    mode: str = "lines"
    color: int | None = None
    dash: str = "solid"
    texts: Sequence[str] = ()


def plot(
    title: str,
    x_title: str,
    y_title: str,
    series: Sequence[Series],
    diagonal: bool = False,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
) -> Chart:
    """Lines or points of one or several series.

    Args:
      title: of the chart.
      x_title: of the axis, with its unit.
      y_title: of the axis, with its unit.
      series: at least one.
      diagonal: draws the line y = x.
      x_range: of the axis; None: that of the points.
      y_range: of the axis; None: that of the points.
    """
    traces: list[Any] = []
    for number, each in enumerate(series):
        color = (number if each.color is None else each.color) % SERIES
        if each.low is not None and each.high is not None:
            traces.append(_band(each, color))
        traces.append(_points(each, color))
    if diagonal:
        traces.append(_diagonal(series))
    layout = layout_of(x_title, y_title, shows_legend=len(series) > 1 or diagonal)
    if x_range:
        layout["xaxis"]["range"] = x_range
    if y_range:
        layout["yaxis"]["range"] = y_range
    rows = len(series) // 4
    return Chart(title, figure_of(traces, layout), _HEIGHT + 22 * rows)


def bars(title: str, x_title: str, names: Sequence[str], values: Sequence[float]) -> Chart:
    """Horizontal bars, the first one on top, each with its value."""
    trace = go.Bar(
        x=list(values),
        y=unique([label(name) for name in names]),
        orientation="h",
        marker={"color": "var(--series-0)"},
        text=[f"{value:,.0f}" if value >= _LARGE else f"{value:.3g}" for value in values],
        textposition="auto",
        hoverinfo="skip",
        cliponaxis=False,
    )
    layout = layout_of(x_title, "", shows_legend=False)
    layout["yaxis"] |= {"autorange": "reversed", "type": "category", "showgrid": False}
    return Chart(title, figure_of([trace], layout), 90 + _ROW_HEIGHT * len(names))


def histogram(
    title: str, x_title: str, values: Sequence[tuple[str, ArrayLike]], bins: int = 30
) -> Chart:
    """Numbers of values in bins of equal width, of one or several named groups on one another."""
    arrays = [(name, np.asarray(each, np.float64)) for name, each in values]
    everything = np.concatenate([each for _, each in arrays])
    edges = np.histogram_bin_edges(everything[np.isfinite(everything)], bins)
    centers, width = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
    traces = [
        go.Bar(
            x=centers,
            y=np.histogram(each, edges)[0],
            width=width,
            name=label(name),
            marker={"color": f"var(--series-{number % SERIES})"},
        )
        for number, (name, each) in enumerate(arrays)
    ]
    layout = layout_of(x_title, "number", shows_legend=len(arrays) > 1)
    layout |= {"barmode": "stack", "bargap": 0.05}
    return Chart(title, figure_of(traces, layout))


def matrix(
    title: str,
    x_title: str,
    y_title: str,
    names: Sequence[str],
    counts: NDArray[Any],
) -> Chart:
    """A square matrix `[C, C]` of counts, colored by the share of their row."""
    labels = unique([label(name) for name in names])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    trace = go.Heatmap(
        z=shares.tolist(),
        x=labels,
        y=labels,
        text=[[f"{count:.0f}" if count else "" for count in row] for row in counts],
        texttemplate="%{text}" if len(names) <= 20 else "",
        customdata=counts.tolist(),
        hovertemplate=f"{escape(y_title)} %{{y}}<br>{escape(x_title)} %{{x}}<br>"
        "%{customdata} examples, %{z:.1%} of the row<extra></extra>",
        colorscale=[[0, "var(--heat-low)"], [1, "var(--heat-high)"]],
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=1,
        showscale=False,
    )
    layout = layout_of(x_title, y_title, shows_legend=False)
    for axis in ("xaxis", "yaxis"):
        layout[axis] |= {"type": "category", "showgrid": False}
    layout["yaxis"]["autorange"] = "reversed"
    return Chart(title, figure_of([trace], layout), max(_HEIGHT, min(760, 140 + 34 * len(names))))


def shortened(name: object) -> str:
    """A name, without its middle if it is long."""
    text, half = str(name), _LONGEST_LABEL // 2
    return text if len(text) <= _LONGEST_LABEL else f"{text[: half - 1]}…{text[-half:]}"


def label(name: object) -> str:
    """A shortened name as plotly shows it: escaped."""
    return escape(shortened(name), quote=False)


def unique(labels: Sequence[str]) -> list[str]:
    """Labels that are all different, since plotly joins equal ones on an axis of categories."""
    different: dict[str, None] = {}
    for each in labels:
        other, number = each, 1
        while other in different:
            number += 1
            other = f"{each} ({number})"
        different[other] = None
    return list(different)


def _points(series: Series, color: int) -> go.Scatter:
    return go.Scatter(
        x=np.asarray(series.x),
        y=np.asarray(series.y),
        name=label(series.name),
        mode=series.mode,
        line={"color": f"var(--series-{color})", "width": 2, "dash": series.dash},
        marker={"color": f"var(--series-{color})", "size": 6},
        opacity=0.65 if series.mode == "markers" else 1,
        text=[escape(text, quote=False) for text in series.texts] or None,
    )


def _band(series: Series, color: int) -> go.Scatter:
    x = np.asarray(series.x)
    return go.Scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([np.asarray(series.high), np.asarray(series.low)[::-1]]),
        fill="toself",
        fillcolor=f"var(--band-{color})",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )


def _diagonal(series: Sequence[Series]) -> go.Scatter:
    values = np.concatenate([np.asarray(part) for each in series for part in (each.x, each.y)])
    ends = [float(np.nanmin(values)), float(np.nanmax(values))]
    line = {"color": "var(--muted)", "dash": "dot", "width": 1}
    return go.Scatter(x=ends, y=ends, mode="lines", name="y = x", line=line, hoverinfo="skip")


def figure_of(traces: Sequence[Any], layout: dict[str, Any]) -> go.Figure:
    """A figure without plotly's own style."""
    return go.Figure(traces, {"template": go.layout.Template(), **layout})


def layout_of(x_title: str, y_title: str, shows_legend: bool = False) -> dict[str, Any]:
    """The layout of a chart with titles of its axes."""

    def axis(title: str) -> dict[str, Any]:
        return {
            "title": {"text": escape(title, quote=False), "standoff": 8},
            "automargin": True,
            "gridcolor": "var(--line)",
            "linecolor": "var(--line)",
            "zerolinecolor": "var(--line)",
            "fixedrange": True,
            "exponentformat": "none",
            "separatethousands": True,
        }

    return {
        "font": {"color": "var(--text)", "family": "system-ui, sans-serif", "size": 12},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 10, "r": 15, "t": 15, "b": 10},
        "hoverlabel": {"bgcolor": "var(--panel)", "font": {"color": "var(--text)"}},
        "showlegend": shows_legend,
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "traceorder": "normal",
        },
        "xaxis": axis(x_title),
        "yaxis": axis(y_title),
    }
